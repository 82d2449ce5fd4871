/** An answer that is no success; `code` is the server's, stable. */
export class GatewayError extends Error {
  override name = 'GatewayError';

  constructor(readonly status: number, readonly code: string, message: string, readonly retryAfterMs?: number) {
    super(message);
  }
}

/** There are no rights, or getToken() says so by throwing one: the client stops asking. */
export class UnauthorizedError extends GatewayError {
  override name = 'UnauthorizedError';

  constructor(message = 'not authorized', status = 401, code = 'unauthorized') {
    super(status, code, message);
  }
}

function retryAfter(value: string | null): number | undefined {
  if (!value) {
    return undefined;
  }
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** What a response that is no success says (RFC 9457, or just its status). */
export async function errorOf(response: Response): Promise<GatewayError> {
  const { status } = response;
  let problem: { code?: unknown; detail?: unknown; title?: unknown } = {};
  try {
    problem = Object(await response.json());
  } catch {
    // A proxy's page: the status is all there is.
  }
  const code = String(problem.code ?? `http_${status}`);
  const message = String(problem.detail ?? problem.title ?? `the server answered ${status}`);
  return status === 401 || status === 403
    ? new UnauthorizedError(message, status, code)
    : new GatewayError(status, code, message, retryAfter(response.headers.get('retry-after')));
}
