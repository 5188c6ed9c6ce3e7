/** The one way to the server: JSON in, JSON out, an ApiError with a sentence otherwise. */

const TIMEOUT_MS = 15_000;

export class ApiError extends Error {
  /** `fields` maps a field's dotted path to the sentences about it. */
  constructor(message, status = 0, fields = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

export async function call(method, path, body) {
  const request = { method, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) };
  if (body !== undefined) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response;
  let answer;
  try {
    response = await fetch(path, request);
    answer = await response.json();
  } catch {
    throw new ApiError(
      response && !response.ok
        ? `StableQueue answered with an error (${response.status}).`
        : "StableQueue does not answer. Is it running, and reachable from here?",
      response?.status,
    );
  }
  if (!response.ok) {
    const expired = response.status === 401 ? " Reload the page." : "";
    throw new ApiError(`${answer.message}${expired}`, response.status, answer.details?.fields);
  }
  return answer;
}

/** What the contract calls things, kept in one place. */
export const api = {
  queueNow: (tab) => call("GET", `/queue/now?show=${encodeURIComponent(tab)}`),
  job: (id) => call("GET", `/api/v1/queue/jobs/${id}/status`),
  cancelJob: (id) => call("POST", `/api/v1/queue/jobs/${id}/cancel`),
  retryJob: (id) => call("POST", `/api/v1/queue/jobs/${id}/retry`),
  retryFailed: () => call("POST", "/api/v1/queue/retry-failed", {}),
  deleteJob: (id) => call("DELETE", `/api/v1/queue/jobs/${id}`),
  generate: (server, parameters) =>
    call("POST", "/api/v1/generate", {
      target_server_alias: server,
      generation_params: parameters,
      source_info: "page",
    }),
  async sendAgain(id) {
    const job = await this.job(id);
    return this.generate(job.target_server_alias, job.generation_params);
  },
  addServer: (server) => call("POST", "/api/v1/servers", server),
  changeServer: (alias, change) => call("PUT", `/api/v1/servers/${encodeURIComponent(alias)}`, change),
  removeServer: (alias) => call("DELETE", `/api/v1/servers/${encodeURIComponent(alias)}`),
  steerServer: (alias, verb) => call("POST", `/api/v1/servers/${encodeURIComponent(alias)}/${verb}`),
  servers: () => call("GET", "/api/v1/servers"),
  createKey: (key) => call("POST", "/api/v1/api-keys", key),
  changeKey: (id, change) => call("PUT", `/api/v1/api-keys/${id}`, change),
  deleteKey: (id) => call("DELETE", `/api/v1/api-keys/${id}`),
};
