"""`conch serve`: Triton and the control plane in the foreground, until Ctrl-C or SIGTERM."""

import click
from tqdm import tqdm

from conch.platform import Platform
from control_plane.settings import Settings, load_settings
from serving.processes import die_with_parent

_COMMANDS = """
Conch is ready. The admin API key is in {key_file}. Paste, for example:

  # Triton, KServe v2 over HTTP
  curl -s {triton}/v2/models/{model}/infer -H 'Content-Type: application/json' \\
    -d '{{"inputs": [{{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["你好，世界"]}}]}}'

  # REST
  curl -s {rest}/api/v1/models/embedding -H "Authorization: Bearer $(cat {key_file})" \\
    -H 'Content-Type: application/json' -d '{{"text": "你好，世界", "model_type": "{model}"}}'

  # Python, with the official client (pip install openai)
  from openai import OpenAI
  client = OpenAI(base_url="{rest}/v1", api_key=open("{key_file}").read().strip())
  print(client.embeddings.create(model="{model}", input="你好，世界").data[0].embedding[:5])

API docs: {rest}/docs (any user name, the key as password). Logs: {logs}. Stop with Ctrl-C.
"""


@click.command()
@click.option("--parent-pid", type=int, help="Stop when this process, which must be the parent, ends.")
def command(parent_pid: int | None) -> None:
    """Start Triton and the control plane, print how to call them, and stay in the foreground."""
    if parent_pid is not None:
        die_with_parent(parent_pid)
    settings = load_settings()
    platform = Platform(settings, on_restart=lambda message: click.echo(message, err=True))
    try:
        _start(platform, settings)
        platform.wait()
    except KeyboardInterrupt:
        click.echo("stopping", err=True)
    finally:
        platform.stop()


def _start(platform: Platform, settings: Settings) -> None:
    with tqdm(total=3 + len(settings.preload_models), desc="conch serve", unit="step") as bar:
        platform.start(on_step=lambda step: _show(bar, step))
        bar.update()
    for name, reason in platform.models_not_ready().items():
        click.echo(f"{name} should be live and is not ready: {reason}. The controller goes on trying, and "
                   f"{settings.home / 'logs' / 'controller.log'} says with what success", err=True)
    click.echo(_COMMANDS.format(
        key_file=settings.admin_key_file, model=(settings.preload_models or ("fast",))[0],
        triton=f"http://{settings.local_host}:{settings.triton_http_port}",
        rest=f"http://{settings.local_host}:{settings.http_port}", logs=settings.home / "logs"))


def _show(bar: tqdm, step: str) -> None:
    """Show `step` as under way; the one before it is done."""
    if bar.postfix:
        bar.update()
    bar.set_postfix_str(step)
