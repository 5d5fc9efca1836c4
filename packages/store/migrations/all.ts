import { Audits } from './audits.ts';
import { BundledUpdates } from './bundled-updates.ts';
import { ChangeMarks } from './change-marks.ts';
import { ControlMessages } from './control-messages.ts';
import { ControlTables } from './control-tables.ts';
import { DataUpdates } from './data-updates.ts';
import { EventLogEntryView } from './event-log-entry.ts';
import { EventLogUpkeep } from './event-log-upkeep.ts';
import { FieldScans } from './field-scans.ts';
import { FoldedUpdates } from './folded-updates.ts';
import { Generations } from './generations.ts';
import { OpenEvents } from './open-events.ts';
import { Reprocess } from './reprocess.ts';
import { RequestBudgetTables } from './request-budget.ts';
import { ScanProjects } from './scan-projects.ts';
import { SiteChanges } from './site-changes.ts';
import { SiteSchemaReplies } from './site-schema.ts';
import { UnmergedWrites } from './unmerged-writes.ts';
import { WrittenEvents } from './written-events.ts';

/** Migrations of the control tables, oldest first. Never change one that was released; add another. */
export const CONTROL_MIGRATIONS = [
  { name: '2026-11-control-tables', class: ControlTables },
  { name: '2026-11-site-schema', class: SiteSchemaReplies },
  { name: '2026-11-unmerged-writes', class: UnmergedWrites },
  { name: '2026-11-generations', class: Generations },
  { name: '2026-11-control-messages', class: ControlMessages },
  { name: '2026-11-data-updates', class: DataUpdates },
  { name: '2026-11-scan-projects', class: ScanProjects },
  { name: '2026-11-site-changes', class: SiteChanges },
  { name: '2026-11-reprocess', class: Reprocess },
  { name: '2026-11-audits', class: Audits },
  { name: '2026-11-event-log-entry', class: EventLogEntryView },
  { name: '2026-11-request-budget', class: RequestBudgetTables },
  { name: '2026-11-field-scans', class: FieldScans },
  { name: '2026-11-change-marks', class: ChangeMarks },
  { name: '2026-11-event-log-upkeep', class: EventLogUpkeep },
  { name: '2026-11-open-events', class: OpenEvents },
  { name: '2026-11-folded-updates', class: FoldedUpdates },
  { name: '2026-11-bundled-updates', class: BundledUpdates },
  { name: '2026-11-written-events', class: WrittenEvents },
];
