import { basename } from 'node:path';
import { isEntityRef, type Json } from '@understudy/domain/entity';
import type { Entity } from '../entity-table.ts';
import type { SiteData } from '../site-data.ts';
import { badData } from '../site-fault.ts';
import type { FileLink } from './media-values.ts';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  gif: 'image/gif',
  mov: 'video/quicktime',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  txt: 'text/plain',
  zip: 'application/zip',
};

/** The part of a name after its last dot, in lower case; empty where there is none. */
export function extensionOf(name: string): string {
  return /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
}

export function contentTypeOf(name: string): string {
  return CONTENT_TYPES[extensionOf(name)] ?? 'application/octet-stream';
}

/** An uploaded file. */
export function uploadLink(name: string): FileLink {
  return {
    link_type: 'upload',
    name,
    content_type: contentTypeOf(name),
    url: null,
    local_storage: null,
    relative_path: null,
  };
}

/** The storage whose root on some platform a path lies in. */
function storageOf(data: SiteData, path: string): { storage: Entity; rest: string } | undefined {
  for (const storage of data.all('LocalStorage')) {
    if (storage.retired) continue;
    for (const platform of ['linux', 'mac', 'windows']) {
      const root = storage.stored(`${platform}_path`);
      if (typeof root !== 'string' || !path.startsWith(root)) continue;
      const rest = path.slice(root.length);
      if (/^[/\\]/.test(rest)) return { storage, rest: rest.slice(1).replaceAll('\\', '/') };
    }
  }
  return undefined;
}

/**
 * What a caller writes to a url field: `{url, name}`, `{local_path}` or `{relative_path, local_storage}` (protocol §3.5).
 * @throws SandboxFault 104 for anything else, and for a path in no storage.
 */
export function acceptLink(data: SiteData, place: string, value: Json): FileLink {
  const refuse = (why: string): never => {
    throw badData(`API update() CRUD ERROR #5: Update failed for [${place}]: ${why}`);
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('Value is not legal.');
  const given = value as Readonly<Record<string, Json>>;
  const { url, local_path: localPath, relative_path: relativePath, local_storage: asked } = given;
  const named = typeof given['name'] === 'string' ? given['name'] : null;
  const local = (storage: Entity, path: string): FileLink => ({
    link_type: 'local',
    name: named ?? basename(path),
    content_type: contentTypeOf(path),
    url: null,
    local_storage: { type: storage.type, id: storage.id },
    relative_path: path,
  });
  if (typeof localPath === 'string') {
    const found = storageOf(data, localPath);
    if (found === undefined) return refuse(`Path ${localPath} doesn't match any defined Local Storage.`);
    return local(found.storage, found.rest);
  }
  if (typeof relativePath === 'string') {
    const wanted = (asked ?? {}) as { name?: Json };
    for (const storage of data.all('LocalStorage')) {
      const isIt = isEntityRef(asked) ? storage.id === asked.id : storage.stored('code') === wanted.name;
      if (isIt && !storage.retired) return local(storage, relativePath);
    }
    return refuse('Local Storage not found.');
  }
  if (typeof url === 'string' && url !== '') {
    return {
      link_type: 'web',
      name: named ?? url,
      content_type: null,
      url,
      local_storage: null,
      relative_path: null,
    };
  }
  return refuse('Value is not legal.');
}
