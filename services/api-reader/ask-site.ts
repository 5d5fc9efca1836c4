import { isEntityRef, type Json } from '@understudy/domain/entity';
import { AuthenticationFault, SiteFault } from '@understudy/site-client/faults';
import { and, type FilterLeaf, leaf } from '@understudy/site-client/filters';
import type { SiteClient, WireAuth } from '@understudy/site-client/site-client';
import type { AskSite, Verdict } from './credentials.ts';
import { type AuthObject, own } from './envelope.ts';
import type { Identity } from './identity.ts';
import type { SessionOwner } from './session-owner.ts';
import type { SiteReach } from './site-reach.ts';

const LOCAL: Verdict = { answer: 'local' };
const RULE_SET = 'permission_rule_set.PermissionRuleSet.code';
/** Projects that a script is restricted to; a site that knows no such thing leaves the field out. */
const PROJECTS = 'projects';

export interface AskSiteOptions {
  /** Asks once, within a short time. */
  readonly site: SiteClient;
  readonly reach: SiteReach;
  /** Codes of the permission rule sets that may see all that the replica holds. */
  readonly localRuleSets: readonly string[];
  /** Name of the script that the replica reads the site with: it may see what it fetched itself. */
  readonly ownScript: string;
  readonly sessionOwner: SessionOwner;
}

/** The entity whose permissions hold for a call: that of the login of a sudo, or of whoever the credential is. */
interface Subject {
  readonly type: 'HumanUser' | 'ApiUser';
  readonly is: FilterLeaf;
}

/**
 * Asks the site about a credential by reading, with it, the row of whom it stands for, with its permission rule set.
 * So the site itself has checked the key, password, token or right to sudo before anything is answered here, and a
 * credential that may not even see itself is never answered here.
 */
export function askSite(options: AskSiteOptions): AskSite {
  const { site, reach, localRuleSets, ownScript, sessionOwner } = options;

  const subjectOf = async (auth: AuthObject, identity: Identity): Promise<Subject | null> => {
    if (identity.sudoAsLogin !== null)
      return { type: 'HumanUser', is: leaf('login', 'is', identity.sudoAsLogin) };
    if (identity.kind === 'script')
      return { type: 'ApiUser', is: leaf('firstname', 'is', identity.name ?? '') };
    if (identity.kind === 'user') return { type: 'HumanUser', is: leaf('login', 'is', identity.name ?? '') };
    const token = own(auth, 'session_token');
    const owner = typeof token === 'string' ? await sessionOwner(token) : null;
    return owner === null ? null : { type: owner.type, is: leaf('id', 'is', owner.id) };
  };

  const rowOf = async (
    subject: Subject,
    auth: AuthObject,
  ): Promise<Readonly<Record<string, Json>> | null> => {
    const payload = {
      type: subject.type,
      return_fields: [RULE_SET, ...(subject.type === 'ApiUser' ? [PROJECTS] : [])],
      filters: and(subject.is) as unknown as Json,
      return_only: 'active',
      paging: { entities_per_page: 2, current_page: 1 },
      api_return_image_urls: true,
      return_paging_info_without_counts: false,
    };
    const { results } = await site.call('read', payload, { priority: 'client', auth: auth as WireAuth });
    const rows = (results as { readonly entities?: readonly Json[] } | null)?.entities ?? [];
    const [row] = rows;
    // Text compares without case: two rows leave open whose the credential is.
    return rows.length === 1 && isEntityRef(row) ? (row as unknown as Record<string, Json>) : null;
  };

  const ask = async (auth: AuthObject, identity: Identity): Promise<Verdict> => {
    const subject = await subjectOf(auth, identity);
    if (subject === null) return { answer: 'site', reason: 'session' };
    const row = await rowOf(subject, auth);
    if (identity.kind === 'script' && identity.sudoAsLogin === null && identity.name === ownScript)
      return LOCAL;
    if (row === null) return { answer: 'site', reason: 'permission' };
    const projects = row[PROJECTS];
    if (Array.isArray(projects) && projects.length > 0)
      return { answer: 'site', reason: 'restricted-to-projects' };
    const ruleSet = row[RULE_SET];
    if (typeof ruleSet === 'string' && localRuleSets.includes(ruleSet)) return LOCAL;
    return { answer: 'site', reason: 'rule-set' };
  };

  return async (auth, identity) => {
    try {
      const verdict = await ask(auth, identity);
      reach.answered();
      return verdict;
    } catch (error) {
      if (error instanceof SiteFault) {
        reach.answered();
        // The credential is good but may not do even this: it sees less than the replica holds.
        if (!(error instanceof AuthenticationFault)) return { answer: 'site', reason: 'permission' };
      } else reach.failed();
      throw error;
    }
  };
}
