import { Migration } from '@mikro-orm/migrations';

/** Scans that somebody asked for may be of some projects only, and then prove nothing of a whole type. */
export class ScanProjects extends Migration {
  override async up(): Promise<void> {
    this.addSql('alter table understudy.scan add column if not exists project_ids bigint[]');
  }
}
