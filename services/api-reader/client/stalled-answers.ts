import type { ServerResponse } from 'node:http';

/**
 * Breaks an answer off once its client has taken nothing of it for so long: it holds memory and, where it is the site's, a
 * place among the requests to the site. How long an answer takes to come is no concern of this.
 * @param response one of which nothing was sent yet.
 */
export function giveUpStalled(response: ServerResponse, ms: number): void {
  response.setTimeout(ms, () => {
    if (response.socket !== null && response.socket.writableLength > 0) response.socket.destroy();
  });
}
