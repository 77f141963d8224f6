// Express and SQL rows: POST /projects/collections in one transaction, GET /collections/:id. No events, no followers.
// DATABASE_URL and PORT configure it. The header `x-user` names the user and is not verified.
import { randomUUID } from "node:crypto";
import express from "express";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 16 });

const SELECT_DEFAULT_PROJECT = "select id from projects where owner = $1 and is_default";
const INSERT_DEFAULT_PROJECT = `insert into projects (owner, name, is_default) values ($1, 'My first project', true)
  on conflict (owner) where is_default do nothing`;
const INSERT_COMPONENTS = "insert into components (collection_id) select $1 from generate_series(1, $2::int) returning id";
const INSERT_COLLECTION = `insert into collections (id, project_id, title, description, data)
  values ($1, $2, $3, $4, $5) returning *`;
const INSERT_PREVIEW = "insert into previews (collection_id, enabled) values ($1, false)";
const SELECT_COLLECTION = "select * from collections where id = $1";

async function defaultProject(client, owner) {
  const find = async () => (await client.query(SELECT_DEFAULT_PROJECT, [owner])).rows[0]?.id;
  const existing = await find();
  if (existing) return existing;
  await client.query(INSERT_DEFAULT_PROJECT, [owner]);
  return find();
}

// A copy of a payload in which every {"$ref": step} names the step's component instead.
function renumbered(value, componentOf) {
  if (Array.isArray(value)) return value.map((item) => renumbered(item, componentOf));
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    key === "$ref" && componentOf.has(item) ? componentOf.get(item) : renumbered(item, componentOf),
  ]);
  return Object.fromEntries(entries);
}

async function createCollection(client, owner, { title, description = null, data = {} }) {
  const collection = randomUUID();
  const steps = data.steps ?? [];
  const project = await defaultProject(client, owner);
  const components = await client.query(INSERT_COMPONENTS, [collection, steps.length]);
  const componentOf = new Map(steps.map((step, index) => [step.id, Number(components.rows[index].id)]));
  const stored = {
    ...data,
    steps: steps.map((step) => ({
      ...step,
      id: componentOf.get(step.id),
      fromId: step.id,
      nodePayload: renumbered(step.nodePayload, componentOf),
    })),
  };
  const values = [collection, project, title, description, stored];
  const row = (await client.query(INSERT_COLLECTION, values)).rows[0];
  await client.query(INSERT_PREVIEW, [collection]);
  return row;
}

const app = express();
app.use(express.json({ limit: "1mb" }));

app.post("/projects/collections", async (request, response) => {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const row = await createCollection(client, request.headers["x-user"], request.body);
    await client.query("commit");
    response.status(201).json({ data: row, error: null });
  } catch (error) {
    await client.query("rollback");
    response.status(500).json({ data: null, error: String(error) });
  } finally {
    client.release();
  }
});

app.get("/collections/:id", async (request, response) => {
  const { rows } = await pool.query(SELECT_COLLECTION, [request.params.id]);
  if (rows.length) response.json({ data: rows[0], error: null });
  else response.status(404).json({ data: null, error: "not found" });
});

app.listen(Number(process.env.PORT), "127.0.0.1");
