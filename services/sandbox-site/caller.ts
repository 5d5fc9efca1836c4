import type { EntityRef } from '@understudy/domain/entity';
import { type Actor, type EventLog, wireTime } from './event-log.ts';
import { type PermissionRules, rulesOf } from './permissions.ts';
import type { SiteData } from './site-data.ts';
import { badData } from './site-fault.ts';
import { type MediaValues, SiteView } from './site-view.ts';

/** What methods of the API need of the site. */
export interface Site {
  readonly data: SiteData;
  readonly log: EventLog;
  /** How image and url values are shown. */
  readonly mediaValues: (imagesAsUrls: boolean) => MediaValues;
}

/** Who makes one call, and what they may. */
export class Caller {
  readonly actor: Actor;
  readonly rules: PermissionRules;
  /** Whether the call's writes are logged (protocol §6.6). */
  readonly isLogged: boolean;
  readonly now = new Date();
  /** The same, as the site writes it. */
  readonly nowText = wireTime(this.now);
  readonly #site: Site;

  constructor(site: Site, actor: Actor) {
    this.#site = site;
    this.actor = actor;
    const user = site.data.find(actor.user);
    if (user === undefined) throw badData(`${actor.user.type} ${actor.user.id} does not exist`);
    this.rules = rulesOf(site.data, user);
    const by = site.data.find(actor.sudoActualUser ?? actor.user);
    this.isLogged = by?.type !== 'ApiUser' || by.stored('generate_event_log_entries') !== false;
  }

  /** The site as the caller sees it while a method is answered. */
  view(method: string, imagesAsUrls = true): SiteView {
    const { rules, now, actor } = this;
    const media = this.#site.mediaValues(imagesAsUrls);
    return new SiteView(this.#site.data, { method, user: actor.user, rules, now, media });
  }
}

/** Somebody who was authenticated elsewhere, or the site itself. */
export function callerAs(site: Site, user: EntityRef): Caller {
  return new Caller(site, {
    user: { type: user.type, id: user.id },
    sessionUuid: null,
    sudoActualUser: null,
  });
}
