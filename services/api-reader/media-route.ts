import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { withoutSignature } from '@understudy/domain/signed-address';
import type { Logger } from '@understudy/runtime/logging';
import { and, leaf } from '@understudy/site-client/filters';
import type { SiteClient } from '@understudy/site-client/site-client';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { linkRefused, noSuchPicture, siteAway } from './errors.ts';
import {
  isTransient,
  MEDIA_PATH,
  type MediaLinks,
  type MediaPath,
  type MediaRef,
  versionOf,
} from './media-links.ts';
import type { SiteReach } from './site-reach.ts';
import { THUMBNAIL_BYTES_MAX, type Thumbnail, type ThumbnailCache } from './thumbnail-cache.ts';

export interface MediaRouteParts {
  readonly links: MediaLinks;
  /** Asks once, within a short time. */
  readonly site: SiteClient;
  readonly siteUrl: string;
  readonly reach: SiteReach;
  /** Null where no pictures are kept: links then lead to the site's own address of the moment. */
  readonly cache: ThumbnailCache | null;
  readonly log: Logger;
}

/** How long the store of the site's pictures may take for one. */
const FETCH_MS = 30_000;
const DAY_S = 86_400;
const IMAGE = /^image\/[a-z0-9.+-]+$/i;

/**
 * Links to pictures that reads gave: answered from disk where the very picture that the link names is kept; else the
 * site is asked for its address now. A picture that was replaced is never shown in the place of the new one, since the
 * replica's next read gives another link.
 */
export function mediaRoute(app: FastifyInstance, parts: MediaRouteParts): void {
  const { links, cache, log } = parts;
  /** Many who follow a link at once fetch once. */
  const fetching = new Map<string, Promise<boolean>>();

  app.get(`${MEDIA_PATH}/:type/:id/:field/:version/:name`, async (request, reply) => {
    const ref = links.refOf(request.params as MediaPath, request.query as Record<string, unknown>);
    if (ref === null) throw linkRefused();
    const kept = (await cache?.get(ref.version)) ?? null;
    if (kept !== null) return send(reply, kept, 'replica');
    const address = await addressNow(parts, ref);
    const version = versionOf(withoutSignature(address));
    if (cache === null || isTransient(address)) return toSite(reply, address);
    const isKept = await (fetching.get(version) ?? fetchOnce(version, address));
    const picture = isKept ? await cache.get(version) : null;
    return picture === null ? toSite(reply, address) : send(reply, picture, 'site');
  });

  const fetchOnce = (version: string, address: string): Promise<boolean> => {
    const work = keep(version, address).finally(() => fetching.delete(version));
    fetching.set(version, work);
    return work;
  };

  /** @returns whether it is kept now; what is not a picture, or too large, is not. */
  const keep = async (version: string, address: string): Promise<boolean> => {
    try {
      const url = new URL(address, parts.siteUrl);
      const answer = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS) });
      const contentType = answer.headers.get('content-type') ?? '';
      const tooLarge = Number(answer.headers.get('content-length') ?? 0) > THUMBNAIL_BYTES_MAX;
      if (!answer.ok || answer.body === null || tooLarge || !IMAGE.test(contentType)) {
        await answer.body?.cancel();
        return false;
      }
      await cache?.put(version, contentType, Readable.fromWeb(answer.body as ReadableStream));
      return true;
    } catch (error) {
      log.warn({ err: error }, 'a thumbnail could not be fetched');
      return false;
    }
  };
}

/** The site's own address of a picture at this moment. @throws ReaderError */
async function addressNow(parts: MediaRouteParts, ref: MediaRef): Promise<string> {
  for (const returnOnly of ['active', 'retired'] as const) {
    const request = {
      type: ref.type,
      fields: [ref.field],
      filters: and(leaf('id', 'is', ref.id)),
      returnOnly,
      pageSize: 1,
    };
    const answer = await parts.site.read(request, { priority: 'client' }).catch((error: unknown) => {
      parts.log.warn({ err: error }, 'the site could not be asked for a picture');
      throw siteAway('media');
    });
    parts.reach.answered();
    const [row] = answer.results;
    const address = row?.[ref.field];
    if (typeof address === 'string') return new URL(address, parts.siteUrl).href;
    if (row !== undefined) break;
  }
  throw noSuchPicture();
}

const marked = (reply: FastifyReply, source: string): FastifyReply =>
  reply.header('x-understudy', `${source}; reason=thumbnail`);

function toSite(reply: FastifyReply, address: string): FastifyReply {
  return marked(reply, 'site').header('cache-control', 'no-store').redirect(address);
}

function send(reply: FastifyReply, picture: Thumbnail, source: string): FastifyReply {
  return (
    marked(reply, source)
      .type(picture.contentType)
      .header('content-length', picture.bytes)
      .header('cache-control', `private, max-age=${DAY_S}`)
      // Whatever the file holds, it is a picture and nothing that runs.
      .header('x-content-type-options', 'nosniff')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox")
      .send(picture.body)
  );
}
