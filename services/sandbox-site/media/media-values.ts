import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Entity } from '../entity-table.ts';
import type { Faults } from '../faults.ts';
import type { SiteData } from '../site-data.ts';
import type { MediaValues } from '../site-view.ts';
import type { MediaStore } from './media-store.ts';

/** What an image reads while the site still works on it (protocol §3.5). */
export const PENDING_IMAGE = '/images/status/transient/thumbnail_pending.png';

/** What an Attachment holds besides its fields: how it is linked. */
export const LINK_FIELD = '_link';

/** How a file is linked (protocol §3.5); `content_type` and `name` as they are shown. */
export interface FileLink {
  readonly [key: string]: Json;
  readonly link_type: 'upload' | 'web' | 'local';
  readonly name: string;
  readonly content_type: string | null;
  /** Of a web link. */
  readonly url: string | null;
  /** Of a local file. */
  readonly local_storage: Json;
  readonly relative_path: string | null;
}

/** What the values are made of. */
export interface MediaSite {
  readonly data: SiteData;
  readonly store: MediaStore;
  readonly faults: () => Faults;
  /** Address of the site, without a slash at the end. */
  readonly origin: () => string;
  /** Ids of thumbnails that are not ready. */
  readonly pending: ReadonlySet<number>;
}

export function linkOf(attachment: Entity): FileLink | null {
  const link = attachment.stored(LINK_FIELD);
  return typeof link === 'object' && link !== null ? (link as FileLink) : null;
}

/** Where the three platforms find a local file. */
export function localPaths(data: SiteData, link: FileLink): Readonly<Record<string, Json>> {
  const storage = isEntityRef(link.local_storage) ? data.find(link.local_storage) : undefined;
  const path = (platform: string, separator: string): Json => {
    const root = storage?.stored(`${platform}_path`);
    if (typeof root !== 'string' || link.relative_path === null) return null;
    return root + separator + link.relative_path.replaceAll('/', separator);
  };
  return {
    local_path_linux: path('linux', '/'),
    local_path_mac: path('mac', '/'),
    local_path_windows: path('windows', '\\'),
  };
}

/** How image and url fields are read: links are signed anew for each read. */
export function mediaValues(site: MediaSite, imagesAsUrls: boolean): MediaValues {
  const { data, store, pending } = site;
  const signed = (path: string): string => site.origin() + store.sign(path, site.faults().linkLifetimeMs);
  return {
    image: (_entity, _name, stored) => {
      if (typeof stored !== 'number') return null;
      if (!imagesAsUrls) return stored;
      return pending.has(stored) ? site.origin() + PENDING_IMAGE : signed(`/storage/thumbnail/${stored}`);
    },
    url: (_entity, _name, stored) => {
      if (!isEntityRef(stored) || stored.type !== 'Attachment') return stored;
      const attachment = data.find(stored);
      const link = attachment === undefined || attachment.retired ? null : linkOf(attachment);
      if (link === null) return null;
      const { name, content_type, link_type } = link;
      const about = { name, content_type, link_type, type: 'Attachment', id: stored.id };
      if (link_type !== 'local') {
        return { url: link_type === 'web' ? link.url : signed(`/storage/attachment/${stored.id}`), ...about };
      }
      const { relative_path } = link;
      return {
        ...about,
        local_storage: data.link(link.local_storage) as Json,
        relative_path,
        ...localPaths(data, link),
      };
    },
  };
}
