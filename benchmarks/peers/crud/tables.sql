-- The rows of a collection as a service without events keeps them; for the Express peer and its stand-in alike.
create table projects (
  id uuid primary key default gen_random_uuid(), owner uuid not null, name text not null,
  is_default boolean not null default false);
create unique index on projects (owner) where is_default;
create table collections (
  id uuid primary key, project_id uuid not null, title text not null, description text,
  status text not null default 'draft', data jsonb not null,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create table components (
  id bigint generated always as identity primary key, collection_id uuid not null,
  created_at timestamptz not null default now());
create table previews (
  id bigint generated always as identity primary key, collection_id uuid not null, enabled boolean not null);
