"""The labelling page in a real browser: people sign in, label, undo, lose the network, correct, train and activate."""

import pytest

from control_plane.labelling.annotations import Annotations
from control_plane.labelling.out_of_fold import save_scores
from control_plane.tuning.tables import INCONCLUSIVE, ModelVersionRow
from tests.browser import ENTER, ESCAPE, find_chromedriver, running_browser
from tests.control_plane.api.model_tuning import EXAMPLE_ID, add_intents, ask, begin_batch
from tests.control_plane.conftest import serving
from tests.control_plane.fakes import publish

pytestmark = pytest.mark.skipif(find_chromedriver() is None, reason=(
    "chromedriver is not installed, so the labelling page runs in no browser: apt-get install chromium-driver"))
QUESTIONS = ("我今年财运怎么样", "明年能结婚吗", "Will I find love in 2027?")
PRESSED = "[...document.querySelectorAll('#label-editor [aria-pressed=true] small')].map((item) => item.innerText)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def asked(services):
    """Three questions with a taxonomy; returns their ids."""
    add_intents(services, "wealth", "love", "health")
    return ask(services, *QUESTIONS)


@pytest.fixture
def address(app, asked):
    with serving(app) as address:
        yield f"{address}/label"


@pytest.fixture
def page(browser, address, key):
    """The page, signed in as ann, with a question shown; nothing may have been complained of at the end."""
    browser.open(address)
    sign_in(browser, key)
    browser.wait_until("document.querySelector('#label-editor .question')?.innerText")
    browser.console()
    yield browser
    assert [line for line in browser.console() if "favicon" not in line] == []
    browser.run("sessionStorage.clear()")


def sign_in(browser, key, labeler="ann"):
    browser.wait_until("!document.querySelector('#sign-in').hidden")
    browser.fill("#key", key)
    browser.fill("#labeler", labeler)
    browser.click("#sign-in-form button")


def shown(browser) -> str:
    return browser.text("#label-editor .question")


def find(services, question_id):
    return services.tuning.annotations.find(question_id)


def test_questions_are_labelled_skipped_and_undone_with_the_keyboard_alone(page, services, asked):
    ids = dict(zip(QUESTIONS, asked, strict=True))
    first = shown(page)
    assert page.run("return document.querySelector('#label-editor .question').lang") == (
        "en" if "love" in first else "zh-Hans")
    page.press(ENTER)
    page.wait_for_text("#label-editor .problem", "Choose an intent or out of scope")
    page.press("1", "2", "3", "3", "t")
    page.press(*"this_year", "\ue004", *"2026, 2028-2029", ESCAPE, ENTER)
    page.wait_for_text("#progress", "1 labelled, 0 skipped; 2 at hand")
    record = find(services, ids[first])
    assert record.correct_intent == ["wealth", "love"]
    assert record.question.correct_time_intent == {"type": "this_year", "target_years": [2026, 2028, 2029]}
    assert [said.labeler for said in record.annotations] == ["ann"]
    second = shown(page)
    page.press("s")
    page.wait_for_text("#progress", "1 labelled, 1 skipped; 1 at hand")
    assert find(services, ids[second]).state == "skipped"
    third = shown(page)
    page.press("n", ENTER)
    page.wait_for_text("#empty", "No question waits")
    assert find(services, ids[third]).correct_intent == []
    for undone in (third, second, first):
        page.press("u")
        page.wait_for_text("#label-editor .question", undone)
        page.wait_for_text("#status", "Undone")
        assert find(services, ids[undone]).state == "unlabelled"
        page.run("document.querySelector('#status').textContent = ''")
    assert page.run(f"return {PRESSED}") == ["wealth", "love"]
    assert {first, second, third} == set(QUESTIONS)


def test_a_question_that_somebody_else_labelled_is_said_and_left(page, services, asked):
    question_id = dict(zip(QUESTIONS, asked, strict=True))[first := shown(page)]
    services.tuning.annotations.label(question_id, ["health"], None, "ann")
    page.press("1", ENTER)
    page.wait_for_text("#problem", "'ann' has labelled it already")
    assert page.run(f"return {PRESSED}") == ["wealth"]
    page.run("[...document.querySelectorAll('button')].find((item) => item.innerText.startsWith('Go on')).click()")
    page.wait_until("document.querySelector('#label-editor .question').innerText !== arguments[0]", first)
    assert find(services, question_id).correct_intent == ["health"]
    page.console()  # A refused request is written there as well.


def test_what_was_chosen_survives_a_lost_network_a_wrong_key_and_a_reload(page, services, asked, key):
    question_id = dict(zip(QUESTIONS, asked, strict=True))[first := shown(page)]
    page.press("3")
    page.go_offline(True)
    page.press(ENTER)
    page.wait_for_text("#problem", "The server cannot be reached")
    page.go_offline(False)
    page.run("sessionStorage.setItem('conch-label-key', JSON.stringify('conch_wrong')); location.reload()")
    page.wait_for_text("#problem", "Sign in again")
    assert "conch" not in page.run("return location.search + location.hash")
    sign_in(page, key)
    page.wait_for_text("#label-editor .question", first)
    assert page.run(f"return {PRESSED}") == ["health"]
    page.press(ENTER)
    page.wait_for_text("#progress", "1 labelled")
    assert find(services, question_id).correct_intent == ["health"]
    page.console()


def test_a_suspected_label_is_opened_and_corrected(page, services, asked):
    for question_id in asked:
        services.tuning.annotations.label(question_id, ["wealth"], None, "ann")
    scores = dict(zip(asked, ({"wealth": 0.9, "love": 0.1, "health": 0.1}, {"wealth": 0.9, "love": 0.2, "health": 0.1},
                              {"wealth": 0.01, "love": 0.98, "health": 0.1}), strict=True))
    with services.database.write() as session:
        save_scores(session, "4", scores)
    services.tuning.annotations.label(asked[1], ["wealth", "love"], None, "ann", is_review=True)
    page.run("location.hash = '#quality'")
    page.wait_for_text("#suspects", QUESTIONS[2])
    page.click("#suspects button")
    page.wait_for_text("#review-annotations", "ann: Wealth")
    toggles = "[...document.querySelectorAll('#review-editor .toggle')]"
    assert page.run(f"return {toggles}.map((item) => item.ariaPressed)") == ["true", "false", "false", "false"]
    page.press("1", "2", ENTER)
    page.wait_for_text("#status", "Corrected")
    assert find(services, asked[2]).correct_intent == ["love"]
    assert find(services, asked[2]).annotations[-1].origin == "review"


def test_disputes_are_decided_one_after_the_other_with_the_keyboard_alone(page, services, asked):
    annotations = Annotations(services.database, blind_share=1.0)
    for question_id in asked[:2]:
        annotations.label(question_id, ["wealth"], None, "ann")
    for given in services.tuning.label_queue.page("carl", 9):
        annotations.label(given.question.id, ["love"], None, "carl")
    page.run("location.hash = '#disputes'")
    page.wait_for_text("#disputes-list", "carl: Love")
    assert page.run("return document.querySelectorAll('#disputes-list > li').length") == 2
    page.press("o")
    page.wait_for_text("#dispute-editor .question", QUESTIONS[0])
    toggles = "[...document.querySelectorAll('#dispute-editor .toggle')].map((item) => item.ariaPressed)"
    page.press(ENTER)
    page.wait_for_text("#dispute-editor .problem", "Choose an intent or out of scope")
    page.press("o")
    assert page.run(f"return {toggles}") == ["true", "false", "false", "false"]
    page.press("o", "3", ENTER)
    page.wait_for_text("#dispute-editor .question", QUESTIONS[1])
    page.press("n", ENTER)
    page.wait_for_text("#disputes-note", "None")
    assert [find(services, question_id).correct_intent for question_id in asked[:2]] == [["love", "health"], []]
    last = find(services, asked[0]).annotations[-1]
    assert (last.labeler, last.origin) == ("ann", "review")


def test_a_version_that_did_not_pass_is_activated_with_a_reason_and_its_report_shown(page, services, settings):
    publish(settings.model_repository, "intent", 2)
    begin_batch(services, "/activate")
    with services.database.write() as session:
        session.get(ModelVersionRow, "intent-2").verdict = INCONCLUSIVE
    (settings.tuning_dir / EXAMPLE_ID / "gate" / "gate.html").write_text(
        "<!DOCTYPE html><style>p{color:red}</style><p>The gate says</p><script>top.document.title='out'</script>")
    page.run("location.hash = '#training'")
    page.wait_for_text("#batches", "inconclusive")
    page.run("[...document.querySelectorAll('#batches button')].find((item) => item.innerText === 'Report').click()")
    page.wait_for_text("#report-title", "intent-2")
    page.wait_until("document.querySelector('#report-frame').srcdoc.includes('The gate says')")
    assert page.run("return document.title") == "Conch labelling"
    page.console()  # That the script was refused.
    page.run("[...document.querySelectorAll('#batches button')].find((item) => item.innerText === 'Activate…').click()")
    page.wait_for_text("#ask-text", "did not pass it: inconclusive")
    page.run("document.querySelector('#ask-form').requestSubmit()")
    assert page.run("return document.querySelector('#ask').open")
    page.press(*"needed today")
    page.click("#ask-go")
    page.wait_for_text("#status", "Version 2 answers now")
    assert services.store.find("intent").active_version == 2
    page.wait_for_text("#live", "intent-2 answers")
    assert services.store.history("intent", 1)[0].reason == "needed today"


def test_training_is_begun_from_the_page(page, services, asked):
    services.tuning.annotations.label(asked[0], ["wealth"], None, "ann")
    page.run("location.hash = '#training'")
    page.wait_for_text("#batches", "No batch yet")
    page.fill("#description", "11月的标注")
    page.click("#train-form button")
    page.wait_for_text("#status", "Training has begun")
    batch, = services.tuning.batch_store.page(9)
    assert (batch.description, batch.recipe, batch.created_by) == ("11月的标注", "full", "admin")
    assert services.jobs.describe(batch.job_id, 0)["state"] == "queued"
    page.wait_for_text("#batches", "11月的标注")


def test_who_may_only_label_is_offered_nothing_else(browser, address, services):
    key, _ = services.keys.create("labels", ("label",), None, "admin")
    browser.open(f"{address}#training")
    sign_in(browser, key)
    browser.wait_for_text("#batches", "No batch yet")
    for button in ("#roll-back", "#train-form"):
        assert browser.run("return document.querySelector(arguments[0]).hidden", button)
    browser.run("sessionStorage.clear()")
    other, _ = services.keys.create("search", ("infer",), None, "admin")
    browser.open(address)
    browser.run("location.reload()")
    sign_in(browser, other)
    browser.wait_for_text("#problem", "has not the scope “label”")
    assert browser.run("return sessionStorage.length") == 0


def test_nothing_is_wider_than_a_small_screen_and_every_field_has_a_name(page):
    page.use_screen(360)
    for view in ("label", "quality", "disputes", "training"):
        page.run("location.hash = arguments[0]", view)
        page.wait_until("document.querySelector(`nav [href='#${arguments[0]}']`).ariaCurrent === 'page'", view)
        assert page.run("return innerWidth === 360 && document.documentElement.scrollWidth <= 360"), view
        assert page.run("return [...document.querySelectorAll('input, select, textarea, button')]"
                        ".filter((item) => item.checkVisibility() && !item.labels?.length && !item.innerText.trim())"
                        ".map((item) => item.outerHTML)") == []


def test_a_reader_who_wants_a_dark_page_gets_one(page):
    colours = []
    for scheme in ("light", "dark"):
        page.use_screen(1000, scheme)
        colours.append(page.run("return getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(246, 247, 247)", "rgb(18, 24, 26)"]


def test_years_are_read_as_people_write_them(page):
    wanted = {"": [], "2026": [2026], "2026, 2028 - 2029": [2026, 2028, 2029], "２０２６年、2027年": [2026, 2027],
              "2026到2028年": [2026, 2027, 2028], "2027 2026 2027": [2026, 2027], "2028-2026年": "years",
              "next": "years", "1-300": "years", "0": "years"}
    assert page.run("""const { parseYears } = await import("/label/choice.js");
        const read = (text) => { try { return parseYears(text); } catch (error) { return error.field; } };
        return Object.fromEntries(arguments[0].map((text) => [text, read(text)]))""", list(wanted)) == wanted


def test_a_time_keeps_its_months_and_days_while_type_and_years_stay(page):
    time = {"type": "this_month", "target_years": [2026], "target_months": [11], "start": "2026-11-01",
            "end": "2026-11-30"}
    chosen = page.run("""const { beginChoice, labelOf, toggleOutOfScope } = await import("/label/choice.js");
        const choice = toggleOutOfScope(beginChoice(null, arguments[0]));
        return [choice, { ...choice, years: "2027" }, { ...choice, type: "", years: "" }].map(
          (value) => labelOf(value, arguments[0]).correct_time_intent)""", time)
    assert chosen == [time, {"type": "this_month", "target_years": [2027]}, None]


def test_leases_are_renewed_and_what_ran_out_or_is_done_is_not_shown_next(page):
    seen = page.run("""const { LabelQueue } = await import("/label/queue.js");
        const [long, soon, over] = [600000, 60000, -1];
        const pages = [{ a: long, b: over, c: soon, d: long }, { a: long, b: long, d: long }];
        const asked = [];
        const queue = new LabelQueue({ takeQuestions: async (labeler) => { asked.push(labeler);
          return Object.entries(pages.shift()).map(([id, leaseMs]) => ({ id, leaseMs })); } }, "ann");
        const seen = [];
        await Promise.all([queue.fill(), queue.fill()]);
        seen.push(queue.current.id);
        await queue.keepUp();
        queue.next();
        seen.push(queue.current.id, queue.isExpired);
        await queue.keepUp();
        seen.push(queue.current.id);
        queue.next();
        seen.push(queue.current.id, queue.length, asked);
        return seen;""")
    # a is done, b ran out, and c's lease ends soon: asked anew, the server gives a and b once more, and b is next.
    assert seen == ["a", "c", False, "c", "b", 2, ["ann", "ann"]]
