import type { Json } from '@understudy/domain/entity';
import { AuthenticationFault, SiteFault } from '@understudy/site-client/faults';
import { and, leaf } from '@understudy/site-client/filters';
import type { SiteClient, WireAuth } from '@understudy/site-client/site-client';
import type { AskSite, Verdict } from './credentials.ts';
import type { SiteReach } from './site-reach.ts';

const LOCAL: Verdict = { answer: 'local' };

/**
 * Asks the site about a credential by reading, with it, whose it is: a script's ApiUser, a person's HumanUser with its
 * permission rule set. Scripts may be answered locally, people if their rule set is listed.
 * @param site asks once, within a short time.
 */
export function askSite(site: SiteClient, reach: SiteReach, localRuleSets: readonly string[]): AskSite {
  const ruleSetOf = async (type: string, field: string, auth: WireAuth, name: string): Promise<Json> => {
    const payload = {
      type,
      return_fields: ['permission_rule_set.PermissionRuleSet.code'],
      filters: and(leaf(field, 'is', name)) as unknown as Json,
      return_only: 'active',
      paging: { entities_per_page: 1, current_page: 1 },
      return_paging_info_without_counts: false,
    };
    const { results } = await site.call('read', payload, { priority: 'client', auth });
    const rows = (results as { readonly entities?: readonly Readonly<Record<string, Json>>[] } | null)
      ?.entities;
    return rows?.[0]?.['permission_rule_set.PermissionRuleSet.code'] ?? null;
  };

  const ask: AskSite = async (auth, identity) => {
    const wire = auth as WireAuth;
    const name = identity.name ?? '';
    if (identity.kind === 'script') {
      await ruleSetOf('ApiUser', 'firstname', wire, name);
      return LOCAL;
    }
    const ruleSet = await ruleSetOf('HumanUser', 'login', wire, name);
    return typeof ruleSet === 'string' && localRuleSets.includes(ruleSet)
      ? LOCAL
      : { answer: 'site', reason: 'user' };
  };

  return async (auth, identity) => {
    try {
      const verdict = await ask(auth, identity);
      reach.answered();
      return verdict;
    } catch (error) {
      if (error instanceof SiteFault) {
        reach.answered();
        // The credential is good but may not even see itself: it sees less than the replica holds.
        if (!(error instanceof AuthenticationFault)) return { answer: 'site', reason: 'permission' };
      } else reach.failed();
      throw error;
    }
  };
}
