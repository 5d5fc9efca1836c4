import type { EntityRef } from '@understudy/domain/entity';

/** The fields of a form that stand before its file, by name. */
export type FormFields = ReadonlyMap<string, string>;

/** As much of a form as is looked into; the official client sends its few fields first and the file last. */
export const FORM_HEAD_BYTES = 64 * 1024;

const CRLF = '\r\n';

/**
 * Reads the fields at the beginning of a form (protocol §5.10): urlencoded, or multipart up to its first file.
 * @param head the first bytes; fields that they cut off are left out.
 */
export function formFields(contentType: string, head: Buffer): FormFields {
  // One character for each byte, so that nothing is lost or joined; names and ids are ASCII.
  const text = head.toString('latin1');
  if (contentType.startsWith('application/x-www-form-urlencoded')) return new Map(new URLSearchParams(text));
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  const fields = new Map<string, string>();
  if (boundary === undefined || !contentType.startsWith('multipart/')) return fields;
  const parts = text.split(`--${boundary}`);
  // The last one may be cut off.
  for (const part of parts.slice(1, -1)) {
    const end = part.indexOf(CRLF + CRLF);
    const headers = part.slice(0, end);
    if (end < 0 || /;\s*filename\*?=/i.test(headers)) continue;
    const name = /;\s*name="([^"]*)"/i.exec(headers)?.[1];
    if (name !== undefined) fields.set(name, part.slice(end + 4).replace(/\r\n$/, ''));
  }
  return fields;
}

/** `Shot_12,CustomEntity01_3` → the entities; a type may hold underscores itself. */
function listed(text: string): readonly EntityRef[] {
  return text.split(',').flatMap((item) => refFrom(/^(.+)_(\d+)$/.exec(item.trim())?.slice(1) ?? []));
}

function refFrom([type, id]: readonly (string | undefined)[]): readonly EntityRef[] {
  const number = Number(id);
  return type !== undefined && type !== '' && Number.isSafeInteger(number) && number > 0
    ? [{ type, id: number }]
    : [];
}

/**
 * The entities that an upload changes (protocol §5.10): what it is for, and the attachment that it makes.
 * @param reply `1:<id>` and so on, empty where it was lost.
 */
export function uploadSubjects(fields: FormFields, reply: string): readonly EntityRef[] {
  return [
    ...refFrom([fields.get('entity_type'), fields.get('entity_id')]),
    ...listed(fields.get('entities') ?? ''),
    ...refFrom(['Attachment', /^1\s*:\s*(\d+)/.exec(reply)?.[1]]),
  ];
}
