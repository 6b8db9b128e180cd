// Talks to the REST API with a key, and says in words what went wrong. Knows nothing of the page.

const TIMEOUT_MS = 30_000;
const LOAD_TIMEOUT_MS = 600_000; // An activation answers when every Triton has loaded the version.
const TUNING = "api/v1/model-tuning";

/** An answer that is an error, or none; `status` is 0 where there was no answer. */
export class ApiError extends Error {
  constructor(status, type, message, retryAfterS = null) {
    super(message);
    this.status = status;
    this.type = type;
    this.retryAfterS = retryAfterS;
  }
}

/** The routes that the page needs, with one key. */
export class Api {
  #key;

  constructor(key) {
    this.#key = key;
  }

  ownKey() { return this.#json("GET", "api/v1/keys/self/scopes"); }
  taxonomy() { return this.#json("GET", `${TUNING}/taxonomy`); }
  agreement() { return this.#json("GET", `${TUNING}/agreement`); }
  suspects(limit) { return this.#json("GET", `${TUNING}/label-errors?${new URLSearchParams({ limit })}`); }
  disputes(limit) { return this.#json("GET", `${TUNING}/questions/disputed?${new URLSearchParams({ limit })}`); }
  batches(limit) { return this.#json("GET", `${TUNING}/batches?${new URLSearchParams({ limit })}`); }
  batch(id) { return this.#json("GET", `${TUNING}/batches/${encodeURIComponent(id)}`); }
  versions(limit) { return this.#json("GET", `${TUNING}/models?${new URLSearchParams({ limit })}`); }
  question(id) { return this.#json("GET", `${TUNING}/questions/${encodeURIComponent(id)}`); }

  /** Give questions to a person; resolves to them, each with `leaseMs`: how long from now it is theirs. */
  async takeQuestions(labeler, limit) {
    const query = new URLSearchParams({ limit, labeler_id: labeler });
    const response = await this.#send("GET", `${TUNING}/questions/unlabeled?${query}`);
    const { questions } = await response.json();
    // The server's clock and this one may differ; its answer says what time it has.
    const now = Date.parse(response.headers.get("Date") ?? "") || Date.now();
    return questions.map((question) => ({ ...question, leaseMs: Date.parse(question.leased_until) - now }));
  }

  label(id, body) { return this.#json("POST", `${TUNING}/questions/${encodeURIComponent(id)}/label`, body); }
  skip(id, labeler) { return this.#post(`questions/${encodeURIComponent(id)}/skip`, { labeler_id: labeler }); }
  undo(id, labeler) { return this.#post(`questions/${encodeURIComponent(id)}/undo`, { labeler_id: labeler }); }
  createBatch(recipe, description) { return this.#post("batches", { recipe, description }); }
  runBatch(id) { return this.#post(`batches/${encodeURIComponent(id)}/run`, {}); }
  activate(version, reason) {
    return this.#post(`models/${encodeURIComponent(version)}/activate`, { reason }, LOAD_TIMEOUT_MS);
  }
  rollBack(reason) { return this.#post("models/rollback", { reason }, LOAD_TIMEOUT_MS); }

  /** Resolves to the gate's report of a batch, a page of HTML. */
  async report(id) {
    return (await this.#send("GET", `${TUNING}/batches/${encodeURIComponent(id)}/report`)).text();
  }

  #post(path, body, timeoutMs) { return this.#json("POST", `${TUNING}/${path}`, body, timeoutMs); }

  async #json(method, path, body, timeoutMs) {
    return (await this.#send(method, path, body, timeoutMs)).json();
  }

  async #send(method, path, body, timeoutMs = TIMEOUT_MS) {
    const headers = { Authorization: `Bearer ${this.#key}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      // With credentials a browser would answer a 401 with a window of its own, and send keys that it remembers.
      response = await fetch(path, { method, headers, credentials: "omit", cache: "no-store",
        body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      throw error.name === "TimeoutError"
        ? new ApiError(0, "timeout", `The server did not answer within ${timeoutMs / 1000} seconds.`)
        : new ApiError(0, "network", "The server cannot be reached.");
    }
    if (!response.ok) throw await readProblem(response);
    return response;
  }
}

/** Return the error that an answer is; a proxy's answers have no JSON. */
async function readProblem(response) {
  const problem = await response.json().catch(() => ({}));
  const type = String(problem.type ?? "").replace("urn:conch:problem:", "");
  const retryAfterS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new ApiError(response.status, type, problem.detail || `The server answered ${response.status}.`,
    Number.isNaN(retryAfterS) ? null : retryAfterS);
}

/** Return what went wrong and what to do about it, as two sentences or more. */
export function explain(error) {
  const advice = adviceFor(error);
  const what = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  return /[.!?]$/.test(what) ? `${what} ${advice}` : `${what}. ${advice}`;
}

function adviceFor(error) {
  if (!(error instanceof ApiError)) return "This is a mistake of the page: reload it, and tell who runs Conch.";
  if (error.status === 0) return "Nothing is lost here: check the connection and try again.";
  if (error.status === 401) return "Sign in again; what you chose is kept.";
  if (error.status === 403) return "Ask an administrator for a key with that scope.";
  if (error.type === "unknown-intents") return "The intents were loaded again: choose from these.";
  if (error.status === 409 || error.status === 404 || error.status === 422 || error.status === 412) return "";
  if (error.status === 429 || error.status === 503) return `Try again in ${error.retryAfterS ?? 5} seconds.`;
  return "Try again; if it stays so, tell who runs Conch.";
}
