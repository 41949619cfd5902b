// A queue of the real BullMQ, driven over standard input: a JSON object a line in, one a line out.
//
//   node bull.cjs FOLDER PACKAGE PORT PREFIX     FOLDER has node_modules
"use strict";
const path = require("node:path");
const readline = require("node:readline");

const [folder, name, port, prefix] = process.argv.slice(2);
const bullmq = require(path.join(folder, "node_modules", name));
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const queues = new Map();
const workers = new Map();

function queue(name) {
  if (!queues.has(name)) queues.set(name, new bullmq.Queue(name, { connection, prefix }));
  return queues.get(name);
}

const acts = {
  async add({ queue: q, jobs }) {
    const added = [];
    for (const job of jobs) added.push((await queue(q).add(job.name, job.data, job.opts)).id);
    return added;
  },
  async flow({ flow }) {
    const producer = new bullmq.FlowProducer({ connection, prefix });
    await producer.add(flow);
    await producer.close();
  },
  async scheduler({ queue: q, id, every, name, data }) {
    if (queue(q).upsertJobScheduler) await queue(q).upsertJobScheduler(id, { every }, { name, data });
    else await queue(q).add(name, data, { repeat: { every, key: id } });
  },
  async pause({ queue: q }) { await queue(q).pause(); },
  async resume({ queue: q }) { await queue(q).resume(); },
  async counts({ queue: q }) { return await queue(q).getJobCounts(); },
  async jobs({ queue: q, states }) {
    const found = await queue(q).getJobs(states, 0, -1, true);
    return found.map((job) => ({ id: job.id, name: job.name, data: job.data }));
  },
  // Takes a job as a worker does, and keeps it active and locked.
  async next({ queue: q }) {
    const worker = new bullmq.Worker(q, null, { connection, prefix, lockDuration: 600000 });
    workers.set(`next ${q}`, { worker });
    const job = await worker.getNextJob("token");
    return job ? job.id : null;
  },
  // Runs jobs until it is told to stop; each that fails is one whose data says so.
  async work({ queue: q, concurrency, pace_ms: pace }) {
    const ran = [];
    const worker = new bullmq.Worker(q, async (job) => {
      ran.push(job.id);
      if (pace) await new Promise((done) => setTimeout(done, pace)); // as long as a job takes
      if (job.data.fail) throw new Error("as asked for");
    }, { connection, prefix, concurrency: concurrency || 1 });
    worker.on("error", () => {});
    workers.set(q, { worker, ran });
    await worker.waitUntilReady();
  },
  async drained({ queue: q, number }) {
    const { worker, ran } = workers.get(q);
    while (ran.length < number) await new Promise((done) => worker.once("active", () => setImmediate(done)));
    return ran;
  },
  async stop({ queue: q }) {
    const { worker, ran } = workers.get(q);
    await worker.close();
    workers.delete(q);
    return ran;
  },
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    try {
      const answer = await acts[asked.act](asked);
      console.log(JSON.stringify({ answer: answer === undefined ? null : answer }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
  process.exit(0);
}

main();
