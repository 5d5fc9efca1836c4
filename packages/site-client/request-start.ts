import type { Dispatcher } from 'undici';

/** What is known of one request while it is under way. */
export interface Attempt {
  /** Whether it got a connection: from then on bytes of it may have reached the site. */
  started: boolean;
}

/**
 * An undici interceptor that tells when a request passed as `opaque` got its connection, so that an error before
 * (refused, no such host, TLS, time spent waiting) is known to have sent nothing.
 */
export const noteStart: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const attempt = (options as { readonly opaque?: unknown }).opaque as Attempt | undefined;
  return dispatch(options, {
    onRequestStart: (controller, context) => {
      handler.onRequestStart?.(controller, context);
      // A request aborted while it waited gets here too, and goes no further.
      if (attempt !== undefined && !controller.aborted) attempt.started = true;
    },
    onResponseStart: (controller, status, headers, statusMessage) =>
      handler.onResponseStart?.(controller, status, headers, statusMessage),
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
  });
};
