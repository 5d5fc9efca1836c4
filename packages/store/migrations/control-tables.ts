import { Migration } from '@mikro-orm/migrations';

/** The control tables of schema `understudy`, the clock, and the schema of the entity tables. */
export class ControlTables extends Migration {
  override async up(): Promise<void> {
    this.addSql('create schema if not exists site');
    this.addSql('create sequence understudy.tick');
    this.addSql(`create table understudy.link_target (
      entity_type text collate "C" not null, entity_id bigint not null, name text, active boolean not null,
      _tick bigint not null, primary key (entity_type, entity_id))`);
    this.addSql(`create table understudy.event_log (
      id bigint primary key, tick bigint not null, late boolean not null, created_at timestamptz not null,
      event_type text not null, entry jsonb not null, state text not null default 'stored'
      check (state in ('stored', 'applied', 'parked')), error text, stored_at timestamptz not null default now())`);
    this.addSql(`create index event_log_stored on understudy.event_log (id) where state = 'stored'`);
    this.addSql(`create index event_log_parked on understudy.event_log (id) where state = 'parked'`);
    this.addSql(`create index event_log_created_at on understudy.event_log (created_at)`);
    this.addSql(`create table understudy.gap (
      first_id bigint primary key, last_id bigint not null, seen_at timestamptz not null, check (first_id <= last_id))`);
    this.addSql(`create table understudy.watermark (
      single boolean primary key default true check (single), polled_through bigint not null, last_poll_at timestamptz,
      head_created_at timestamptz, started_at timestamptz not null default now())`);
    this.addSql(`create table understudy.lease (
      name text primary key, holder text not null, epoch bigint not null, expires_at timestamptz not null)`);
    this.addSql(`create table understudy.refresh_request (
      entity_type text collate "C" not null, entity_id bigint not null, linkers boolean not null default false,
      tick bigint not null, reason text not null, attempts integer not null default 0, error text,
      not_before timestamptz not null default now(), requested_at timestamptz not null default now(),
      primary key (entity_type, entity_id))`);
    this.addSql(`create table understudy.scan (
      id bigint generated always as identity primary key, kind text not null check (kind in ('full', 'interval', 'span')),
      reason text not null, since timestamptz, until timestamptz, created_at timestamptz not null default now(),
      finished_at timestamptz)`);
    this.addSql(`create table understudy.scan_chunk (
      id bigint generated always as identity primary key, scan_id bigint not null references understudy.scan on delete cascade,
      entity_type text collate "C" not null, from_id bigint not null, to_id bigint not null,
      state text not null default 'open' check (state in ('open', 'done')), row_count bigint not null default 0,
      attempts integer not null default 0, error text, claimed_until timestamptz)`);
    this.addSql(`create index scan_chunk_open on understudy.scan_chunk (scan_id) where state = 'open'`);
    this.addSql(`create index scan_chunk_scan on understudy.scan_chunk (scan_id, entity_type)`);
    this.addSql(`create table understudy.served_type (
      entity_type text collate "C" primary key, fingerprint text not null, served_at timestamptz not null default now())`);
    this.addSql(`create table understudy.replica_schema (
      single boolean primary key default true check (single), schema text not null, site_url text not null,
      differences jsonb not null, fitted_at timestamptz not null default now())`);
    this.addSql(`create table understudy.service (
      service text not null, instance text not null, version text not null, state text not null, detail jsonb not null,
      started_at timestamptz not null default now(), seen_at timestamptz not null default now(),
      primary key (service, instance))`);
  }
}
