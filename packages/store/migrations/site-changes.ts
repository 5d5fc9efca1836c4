import { Migration } from '@mikro-orm/migrations';

/** Changes of the site's schema that no generation has taken up yet. */
export class SiteChanges extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table understudy.site_change add column if not exists handled_at timestamptz');
    this.addSql(
      'create index if not exists site_change_open on understudy.site_change (id) where handled_at is null',
    );
  }
}
