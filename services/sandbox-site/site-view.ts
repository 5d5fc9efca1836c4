import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { type EntityLink, type EntityRef, isEntityRef, type Json } from '@understudy/domain/entity';
import type { Entity, EntityRows } from './entity-table.ts';
import type { PermissionRules } from './permissions.ts';
import { isPerUser } from './private-schema.ts';
import type { SandboxField, SandboxType } from './sandbox-schema.ts';
import type { SiteData } from './site-data.ts';

/** How the values of image and url fields are shown; links that are signed are made anew for each read. */
export interface MediaValues {
  image(entity: Entity, name: string, stored: Json): Json;
  url(entity: Entity, name: string, stored: Json): Json;
}

export interface ViewOptions {
  /** The API method that is answered, for messages: `read`. */
  readonly method: string;
  /** Who looks; null for the site itself. */
  readonly user: EntityRef | null;
  readonly rules: PermissionRules | null;
  readonly now: Date;
  readonly media: MediaValues | null;
}

/** The site as one caller sees it in one call. */
export class SiteView {
  readonly data: SiteData;
  readonly method: string;
  readonly now: Date;
  readonly user: EntityRef | null;
  readonly #rules: PermissionRules | null;
  readonly #media: MediaValues | null;
  readonly #ownProjects: ReadonlySet<number> | null;

  constructor(data: SiteData, options: ViewOptions) {
    this.data = data;
    this.method = options.method;
    this.now = options.now;
    this.user = options.user;
    this.#rules = options.rules;
    this.#media = options.media;
    this.#ownProjects =
      options.rules?.projects === 'own' && options.user !== null
        ? new Set(data.linkedFrom(options.user, 'Project', 'users'))
        : null;
  }

  type(name: string): SandboxType | undefined {
    return this.#rules?.hiddenTypes.has(name) === true ? undefined : this.data.schema.get(name);
  }

  field(type: string, name: string): SandboxField | undefined {
    if (this.#rules?.hiddenFields.has(`${type}.${name}`) === true) return undefined;
    return this.type(type)?.fields.get(name);
  }

  rows(type: string): EntityRows {
    return this.data.rows(type);
  }

  /** Whether the caller may know of it: what lies in a project of others is hidden from outsiders. */
  sees(entity: Entity): boolean {
    if (this.#ownProjects === null) return true;
    if (this.#rules?.hiddenTypes.has(entity.type) === true) return false;
    if (entity.type === 'Project') return this.#ownProjects.has(entity.id);
    if (this.data.field(entity.type, 'project') === undefined) return true;
    const project = entity.stored('project');
    return isEntityRef(project) && this.#ownProjects.has(project.id);
  }

  /** What a link leads to, if the caller may know of it. */
  find(ref: EntityRef): Entity | undefined {
    const entity = this.data.find(ref);
    return entity === undefined || !this.sees(entity) ? undefined : entity;
  }

  /** The value as a read gives it: dead links gone, lists ordered by id, back-references computed (protocol §3.4, §3.5). */
  value(entity: Entity, name: string): Json {
    if (name === 'id') return entity.id;
    if (name === 'type') return entity.type;
    if (name === 'cached_display_name') return this.data.displayName(entity);
    const field = this.field(entity.type, name);
    if (field === undefined) return null;
    if (name === 'name' && field.readOnly && entity.type === 'HumanUser')
      return this.data.displayName(entity);
    if (isPerUser(name)) {
      const own = this.user === null ? null : this.data.perUser(entity, name, this.user);
      return own ?? (name === 'read_by_current_user' ? 'unread' : null);
    }
    const { storage } = DATA_TYPES[field.dataType];
    if (storage === 'links') {
      return this.data.links(entity, field).filter((link) => this.#shows(link)) as unknown as Json;
    }
    const stored = entity.stored(name);
    switch (field.dataType) {
      case 'checkbox':
        return stored ?? false;
      case 'password':
        return '*******';
      case 'image':
        return this.#media === null ? stored : this.#media.image(entity, name, stored);
      case 'url':
        return this.#media === null ? stored : this.#media.url(entity, name, stored);
      default:
    }
    if (storage !== 'link') return stored;
    const link = this.data.link(stored);
    return link !== null && this.#shows(link) ? (link as unknown as Json) : null;
  }

  #shows(link: EntityLink): boolean {
    return this.#ownProjects === null || this.find(link) !== undefined;
  }
}
