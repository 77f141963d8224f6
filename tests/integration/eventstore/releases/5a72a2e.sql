-- The database of collections as the release 5a72a2e left it, by pg_dump: the last one without version tables.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE FUNCTION public.append_events(of_append integer[], streams uuid[], expected bigint[], keys uuid[], metadata bytea[], event_append integer[], event_ids uuid[], event_streams uuid[], versions bigint[], types text[], data bytea[]) RETURNS TABLE(append integer, event_id uuid, "position" bigint, repeated boolean, stream_id uuid, actual bigint)
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_advisory_xact_lock(28549302371446899);
  return query
  with repeats as materialized (
    select k.append from unnest(keys) with ordinality as k(event_id, append)
    where exists (select from events e where e.event_id = k.event_id)
  ), late as materialized (
    select h.append, h.stream_id, h.actual from (
      select s.append, s.stream_id, s.expected,
             coalesce((select e.version from events e where e.stream_id = s.stream_id order by e.version desc limit 1), 0) as actual
      from unnest(of_append, streams, expected) as s(append, stream_id, expected)
    ) as h
    where h.actual <> h.expected and h.append not in (select r.append from repeats r)
  ), written as (
    insert into events (event_id, stream_id, version, type, data, metadata)
    select n.event_id, n.stream_id, n.version, n.type, n.data, append_events.metadata[n.append]
    from unnest(event_append, event_ids, event_streams, versions, types, append_events.data)
         with ordinality as n(append, event_id, stream_id, version, type, data, place)
    where n.append not in (select r.append from repeats r) and n.append not in (select l.append from late l)
    order by n.place
    returning events."position"
  )
  select null::integer, null::uuid, w."position", false, null::uuid, null::bigint from written w
  union all select r.append::integer, null, null, true, null, null from repeats r
  union all select l.append, null, null, false, l.stream_id, l.actual from late l;
end $$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.artworks (
    gid uuid NOT NULL,
    job_id uuid NOT NULL,
    collection_id uuid NOT NULL,
    place bigint NOT NULL,
    hash text NOT NULL,
    variables text NOT NULL,
    traits text,
    files text,
    made_at timestamp with time zone
);

CREATE TABLE public.checkpoints (
    name text NOT NULL,
    "position" bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.collections (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    status text NOT NULL,
    archived boolean NOT NULL,
    is_current boolean NOT NULL,
    blockchain text,
    editions bigint,
    price text,
    batch_mint_enabled boolean NOT NULL,
    batch_max_tokens bigint,
    encryption_enabled boolean NOT NULL,
    cover_image_url text,
    images jsonb NOT NULL,
    scheduled_for timestamp with time zone,
    publish_date timestamp with time zone,
    receivers jsonb NOT NULL,
    preview_enabled boolean NOT NULL,
    preview_max_generations bigint NOT NULL,
    preview_is_remixable boolean NOT NULL,
    forked_from uuid,
    social_org text,
    social_identifier text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE public.component_assets (
    asset_id bigint NOT NULL,
    user_id uuid NOT NULL,
    collection_id uuid NOT NULL,
    component_id bigint NOT NULL,
    job_id uuid,
    gid uuid,
    name text NOT NULL,
    path text NOT NULL,
    mime_type text NOT NULL,
    sha256 text NOT NULL,
    gen_in_data text,
    gen_out_data text,
    created_at timestamp with time zone NOT NULL,
    cid text,
    size bigint
);

CREATE SEQUENCE public.component_ids
    START WITH 10000000000
    INCREMENT BY 1000
    MINVALUE 10000000000
    MAXVALUE 9007199254739000
    CACHE 1;

CREATE TABLE public.consumed (
    consumer text NOT NULL,
    "position" bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);

CREATE TABLE public.events (
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    stream_id uuid NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL,
    data bytea NOT NULL,
    metadata bytea NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
ALTER TABLE ONLY public.events ALTER COLUMN data SET STORAGE EXTERNAL;

ALTER TABLE public.events ALTER COLUMN "position" ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW public.history AS
 SELECT "position",
    recorded_at,
    type,
    stream_id,
    version,
    (convert_from(data, 'UTF8'::name))::jsonb AS event,
    (convert_from(metadata, 'UTF8'::name))::jsonb AS metadata,
    event_id
   FROM public.events;

CREATE TABLE public.instructions (
    collection_id uuid NOT NULL,
    data text NOT NULL
);

CREATE TABLE public.parked (
    id bigint NOT NULL,
    consumer text NOT NULL,
    message_id text NOT NULL,
    stream_id uuid,
    "position" bigint,
    type text,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    status text NOT NULL,
    error text,
    attempts integer DEFAULT 0 NOT NULL,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resolved_at timestamp with time zone,
    resolved_by text,
    reason text,
    CONSTRAINT parked_status_check CHECK ((status = ANY (ARRAY['parked'::text, 'waiting'::text, 'retrying'::text, 'handled'::text, 'discarded'::text])))
);

CREATE TABLE public.parked_actions (
    id bigint NOT NULL,
    parked_id bigint NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    detail text,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE public.parked_actions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.parked_actions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.parked ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.parked_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.projections (
    name text NOT NULL,
    version integer NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    leader text DEFAULT ''::text NOT NULL
);

CREATE TABLE public.projects (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    is_default boolean NOT NULL,
    current_collection_id uuid,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.recorder_snapshots (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL
);

CREATE TABLE public.recorder_tracking (
    follower text NOT NULL,
    application_name text NOT NULL,
    notification_id bigint NOT NULL
);

CREATE TABLE public.series (
    job_id uuid NOT NULL,
    collection_id uuid NOT NULL,
    user_id uuid NOT NULL,
    artworks bigint,
    finished_at timestamp with time zone
);

CREATE TABLE public.snapshots (
    stream_id uuid NOT NULL,
    state text NOT NULL,
    schema integer NOT NULL,
    version bigint NOT NULL,
    "position" bigint NOT NULL,
    data bytea NOT NULL,
    taken_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

INSERT INTO public.checkpoints VALUES ('relay', 3, '2026-11-26 13:11:46.250035+00');

INSERT INTO public.events OVERRIDING SYSTEM VALUE VALUES (1, '5f706e2a-0d2f-52b1-a89f-0856b9e9d951', '4ef1207f-245b-5fae-80ca-dd51bfec8825', 1, 'project_created.v1', '\x7b2274797065223a2270726f6a6563745f637265617465642e7631222c2270726f6a6563745f6964223a2234656631323037662d323435622d356661652d383063612d646435316266656338383235222c22757365725f6964223a2236616564366436392d353630332d356233352d393433332d393364646664343963336137222c226e616d65223a2250726f6a6563742030222c2269735f64656661756c74223a747275657d', '\x7b22636f6d6d616e645f6964223a2263656262376439342d343334372d353962662d386162362d386236386437366464356330222c226163746f72223a22757365723a31227d', '2026-11-26 13:11:45.210073+00');
INSERT INTO public.events OVERRIDING SYSTEM VALUE VALUES (2, 'f7d5f5e9-d5ed-58d1-877d-5a83a4197817', 'ddc6cec0-bd36-5ae4-be2d-1f453bb3daa4', 1, 'project_created.v1', '\x7b2274797065223a2270726f6a6563745f637265617465642e7631222c2270726f6a6563745f6964223a2264646336636563302d626433362d356165342d626532642d316634353362623364616134222c22757365725f6964223a2236616564366436392d353630332d356233352d393433332d393364646664343963336137222c226e616d65223a2250726f6a6563742031222c2269735f64656661756c74223a66616c73657d', '\x7b22636f6d6d616e645f6964223a2262313832616537612d633131342d353964332d623833352d383137336263386234613338222c226163746f72223a22757365723a31227d', '2026-11-26 13:11:45.230884+00');
INSERT INTO public.events OVERRIDING SYSTEM VALUE VALUES (3, '9c43c891-41bd-5887-a9ad-964b779341c7', 'b4d9eb78-8999-532f-9f66-f03798d09b05', 1, 'project_created.v1', '\x7b2274797065223a2270726f6a6563745f637265617465642e7631222c2270726f6a6563745f6964223a2262346439656237382d383939392d353332662d396636362d663033373938643039623035222c22757365725f6964223a2236616564366436392d353630332d356233352d393433332d393364646664343963336137222c226e616d65223a2250726f6a6563742032222c2269735f64656661756c74223a66616c73657d', '\x7b22636f6d6d616e645f6964223a2262393765653731382d366631622d353730392d393961652d356663396238386139383837222c226163746f72223a22757365723a31227d', '2026-11-26 13:11:45.24119+00');

INSERT INTO public.projections VALUES ('projects', 1, 3, '2026-11-26 13:11:46.128462+00', '');
INSERT INTO public.projections VALUES ('collections', 3, 3, '2026-11-26 13:11:46.128481+00', '');
INSERT INTO public.projections VALUES ('instructions', 1, 3, '2026-11-26 13:11:46.128527+00', '');
INSERT INTO public.projections VALUES ('component_assets', 4, 3, '2026-11-26 13:11:46.128529+00', '');
INSERT INTO public.projections VALUES ('series', 1, 3, '2026-11-26 13:11:46.128531+00', '');
INSERT INTO public.projections VALUES ('artworks', 1, 3, '2026-11-26 13:11:46.128532+00', '');

INSERT INTO public.projects VALUES ('4ef1207f-245b-5fae-80ca-dd51bfec8825', '6aed6d69-5603-5b35-9433-93ddfd49c3a7', 'Project 0', true, NULL, '2026-11-26 13:11:45.210073+00');
INSERT INTO public.projects VALUES ('ddc6cec0-bd36-5ae4-be2d-1f453bb3daa4', '6aed6d69-5603-5b35-9433-93ddfd49c3a7', 'Project 1', false, NULL, '2026-11-26 13:11:45.230884+00');
INSERT INTO public.projects VALUES ('b4d9eb78-8999-532f-9f66-f03798d09b05', '6aed6d69-5603-5b35-9433-93ddfd49c3a7', 'Project 2', false, NULL, '2026-11-26 13:11:45.24119+00');

SELECT pg_catalog.setval('public.component_ids', 10000000000, false);

SELECT pg_catalog.setval('public.events_position_seq', 3, true);

SELECT pg_catalog.setval('public.parked_actions_id_seq', 1, false);

SELECT pg_catalog.setval('public.parked_id_seq', 1, false);

ALTER TABLE ONLY public.artworks
    ADD CONSTRAINT artworks_pkey PRIMARY KEY (gid);

ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.collections
    ADD CONSTRAINT collections_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.component_assets
    ADD CONSTRAINT component_assets_pkey PRIMARY KEY (asset_id);

ALTER TABLE ONLY public.consumed
    ADD CONSTRAINT consumed_pkey PRIMARY KEY (consumer);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_event_id UNIQUE (event_id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_stream_version UNIQUE (stream_id, version);

ALTER TABLE ONLY public.instructions
    ADD CONSTRAINT instructions_pkey PRIMARY KEY (collection_id);

ALTER TABLE ONLY public.parked_actions
    ADD CONSTRAINT parked_actions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.parked
    ADD CONSTRAINT parked_message UNIQUE (consumer, message_id);

ALTER TABLE ONLY public.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.projections
    ADD CONSTRAINT projections_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.recorder_snapshots
    ADD CONSTRAINT recorder_snapshots_pkey PRIMARY KEY (originator_id, originator_version);

ALTER TABLE ONLY public.recorder_tracking
    ADD CONSTRAINT recorder_tracking_pkey PRIMARY KEY (follower, application_name);

ALTER TABLE ONLY public.series
    ADD CONSTRAINT series_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (stream_id, state);

CREATE INDEX artworks_of_job ON public.artworks USING btree (job_id, place) WHERE (made_at IS NOT NULL);

CREATE INDEX collections_of_project ON public.collections USING btree (project_id, archived, created_at DESC, id DESC);

CREATE INDEX collections_of_project_in_status ON public.collections USING btree (project_id, archived, status, created_at DESC, id DESC);

CREATE INDEX collections_published ON public.collections USING btree (publish_date DESC, id DESC) WHERE ((status = 'published'::text) AND (NOT archived));

CREATE INDEX collections_published_on_chain ON public.collections USING btree (blockchain, publish_date DESC, id DESC) WHERE ((status = 'published'::text) AND (NOT archived));

CREATE INDEX collections_scheduled ON public.collections USING btree (scheduled_for, id) WHERE (scheduled_for IS NOT NULL);

CREATE INDEX collections_shown ON public.collections USING btree (created_at DESC, id DESC) WHERE (preview_enabled AND (NOT archived));

CREATE INDEX component_assets_of_component ON public.component_assets USING btree (collection_id, component_id, created_at DESC, asset_id DESC);

CREATE INDEX events_recorded_at ON public.events USING brin (recorded_at);

CREATE INDEX parked_actions_parked ON public.parked_actions USING btree (parked_id, id);

CREATE INDEX parked_position ON public.parked USING btree (consumer, "position");

CREATE INDEX parked_retrying ON public.parked USING btree (consumer) WHERE (status = 'retrying'::text);

CREATE INDEX parked_unresolved ON public.parked USING btree (consumer, stream_id, "position") WHERE (status = ANY (ARRAY['parked'::text, 'waiting'::text, 'retrying'::text]));

CREATE INDEX projects_of_user ON public.projects USING btree (user_id, created_at, id);

CREATE INDEX series_of_collection ON public.series USING btree (collection_id, finished_at, job_id) WHERE (finished_at IS NOT NULL);

ALTER TABLE ONLY public.parked_actions
    ADD CONSTRAINT parked_actions_parked_id_fkey FOREIGN KEY (parked_id) REFERENCES public.parked(id);
