import { Migration } from '@mikro-orm/migrations';

/** Scans of single fields: what a new generation adds to types that are kept already. */
export class FieldScans extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table understudy.scan drop constraint if exists scan_kind_check');
    this.addSql(`alter table understudy.scan add constraint scan_kind_check
      check (kind in ('full', 'fields', 'interval', 'span'))`);
  }
}
