import { compileSummarize, GROUPS_MAX, summarizeResults } from '@understudy/query/compile-summarize';
import { passingThrough } from '@understudy/query/pass-through';
import { boundAt } from '@understudy/query/sql';
import type { SummaryRow } from '@understudy/query/summary-reply';
import type { Answer, ApiCall } from './api-call.ts';
import { answerLocally, type LocalParts } from './local-answer.ts';
import { queryContext } from './replica-state.ts';

/**
 * Answers a `summarize` (protocol §5.5) where its summaries and groups are exactly the site's.
 * @throws as answerLocally does.
 */
export function answerSummarize(parts: LocalParts, call: ApiCall): Promise<Answer> {
  return answerLocally(parts, call, (_replica, state) => {
    const compiled = compileSummarize(call.envelope.payload, queryContext(state));
    if ('passThrough' in compiled) return compiled;
    const { name, sql, params } = compiled;
    return async () => {
      const texts = await parts.statements.texts({ name, text: sql }, boundAt(params, new Date()));
      if (texts.length > GROUPS_MAX) return passingThrough('grouping not answered here', 'too many groups');
      const rows = texts.map((text) => JSON.parse(text) as SummaryRow);
      return `{"results":${summarizeResults(compiled, rows)}}`;
    };
  });
}
