// What is measured and what it is measured with: a private Helpline started by ./run, nginx alone as the reference, wrk, and
// this folder's own upstream and load generator.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, chmodSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "../programs.mjs";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const run = path.join(root, "run");
const env = Object.fromEntries(["PATH", "HOME", "USER", "LANG", "TMPDIR"].filter((k) => process.env[k] !== undefined)
	.map((k) => [k, process.env[k]]));
env.PATH = `${env.PATH ?? "/usr/bin:/bin"}:/usr/sbin:/sbin`;

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

// ---- processes -----------------------------------------------------------------------------------------------------

const TICK = 1 / Number(execFileSync("getconf", ["CLK_TCK"]));

// Fields of /proc/PID/stat from the third on; the second one may hold spaces.
const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /s, "").split(" ");

// Seconds of processor time, all threads, user and kernel.
export const cpu = (pid) => (Number(stat(pid)[11]) + Number(stat(pid)[12])) * TICK;

const kilobytes = (file, name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(file, "latin1"))[1]);
export const pss = (pid) => kilobytes(`/proc/${pid}/smaps_rollup`, "Pss");
export const rss = (pid) => kilobytes(`/proc/${pid}/status`, "VmRSS");	// cheap: does not walk the pages

function children(parent) {
	return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
		try {
			return Number(stat(pid)[1]) === parent;
		} catch {
			return false;	// it has ended meanwhile
		}
	});
}

// Share of all processors that was in use, over a moment.
export async function machineBusy(ms = 500) {
	const times = () => /^cpu +(.*)$/m.exec(readFileSync("/proc/stat", "latin1"))[1].split(" ").map(Number);
	const before = times();
	await pause(ms);
	const spent = times().map((t, i) => t - before[i]);
	const all = spent.reduce((a, b) => a + b, 0);
	return all ? 1 - (spent[3] + spent[4]) / all : 0;
}

const started = new Set();	// what must not survive us: functions that end it

export function endAll() {
	for (const end of [...started].reverse())
		end();
	started.clear();
}

function service(command, args, options = {}) {
	const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "inherit"], ...options });
	const end = () => child.kill("SIGTERM");
	started.add(end);
	child.on("error", (error) => { throw error; });
	child.on("exit", () => started.delete(end));
	child.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	return child;
}

function temporaryFolder() {
	const folder = mkdtempSync(path.join(tmpdir(), "helpline-bench-"));
	started.add(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

const freePort = () => new Promise((resolve, reject) => {
	const server = net.createServer().once("error", reject).listen(0, "127.0.0.1", () => {
		const { port } = server.address();
		server.close(() => resolve(port));
	});
});

// ---- Helpline ------------------------------------------------------------------------------------------------------

export class Stack {
	static async start(upstream, more = {}) {
		const stack = new Stack();
		stack.dir = temporaryFolder();
		stack.env = { ...env, HELPLINE_BUILD: build, RATE_LIMITS: "off", OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: "sk-bench",
			OPENAI_MODEL: "bench", FALLBACK_API_KEY: "", GEMINI_API_KEY: "", REDIS_URL: "", KNOWLEDGE_PATH: "", ...more };
		stack.end = () => stack.stop();
		started.add(stack.end);
		const begin = process.hrtime.bigint();
		await stack.#run("--port", "0", "--detach");
		stack.seconds = Number(process.hrtime.bigint() - begin) / 1e9;
		const status = JSON.parse(spawnSync(run, ["--state-dir", stack.dir, "--status", "--json"], { env: stack.env }).stdout);
		stack.redis = status.find((p) => p.name === "redis").socket;
		stack.port = Number(/:(\d+)$/.exec(status.find((p) => p.address).address)[1]);
		stack.url = `http://127.0.0.1:${stack.port}`;
		stack.processes = status.flatMap((p) => p.name === "nginx"
			? [{ name: "nginx master", pid: p.pid }, ...children(p.pid).map((pid) => ({ name: "nginx worker", pid }))]
			: [{ name: p.name, pid: p.pid }]);
		return stack;
	}

	#run(...args) {
		return new Promise((resolve, reject) => {
			const child = spawn(run, ["--state-dir", this.dir, ...args], { env: this.env, stdio: ["ignore", "ignore", "pipe"] });
			let said = "";
			child.stderr.on("data", (data) => { said += data; });
			child.on("error", reject);
			child.on("exit", (status) => {
				child.stderr.destroy();	// what runs on may hold it
				if (status === 0)
					resolve();
				else
					reject(new Error(`./run ${args.join(" ")} gave ${status}\n${said}`));
			});
		});
	}

	// Sends commands to the stack's Redis and gives what it says to them, as text; commands are lists of words.
	store(commands) {
		const wire = commands.map((words) => `*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join("")}`);
		return new Promise((resolve, reject) => {
			const socket = net.createConnection(this.redis, () => socket.end(wire.join("")));
			let said = "";
			socket.on("data", (data) => { said += data; });
			socket.on("error", reject);
			socket.on("end", () => resolve(said));
		});
	}

	pid(name) {
		return this.processes.find((p) => p.name === name).pid;
	}

	// One number for each name of process, from a function of a pid.
	each(measure) {
		const all = {};
		for (const { name, pid } of this.processes)
			all[name] = (all[name] ?? 0) + measure(pid);
		return all;
	}

	stop() {
		started.delete(this.end);
		spawnSync(run, ["--state-dir", this.dir, "--stop"], { env: this.env, stdio: "ignore", timeout: 30_000 });
		rmSync(this.dir, { recursive: true, force: true });
	}
}

export const difference = (after, before) => Object.fromEntries(Object.keys(after).map((k) => [k, after[k] - before[k]]));
export const sum = (numbers, names = Object.keys(numbers)) => names.reduce((total, name) => total + numbers[name], 0);

// ---- the reference: the same nginx with one worker, too, that answers by itself ------------------------------------------

export class Reference {
	static async start() {
		const ref = new Reference();
		const dir = temporaryFolder();
		const port = await freePort();
		chmodSync(dir, 0o755);
		writeFileSync(path.join(dir, "nginx.conf"), `
worker_processes 1; daemon off; pid nginx.pid; error_log stderr emerg;
events { worker_connections 1024; multi_accept on; }
http {
	access_log off; keepalive_requests 1000000; sendfile on; open_file_cache max=10;
	client_body_temp_path body; fastcgi_temp_path fastcgi; proxy_temp_path proxy; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 '{"ok":true}'; } location = /body { alias body.json; } }
}
`);
		const child = service("nginx", ["-p", `${dir}/`, "-c", "nginx.conf", "-e", "stderr"]);
		ref.body = (text) => writeFileSync(path.join(dir, "body.json"), text);	// what /body answers with, from a file
		ref.url = `http://127.0.0.1:${port}`;
		for (let i = 0; i < 500 && children(child.pid).length === 0; i++)
			await pause(10);
		ref.pid = children(child.pid)[0];
		ref.stop = () => child.kill("SIGTERM");
		return ref;
	}
}

// ---- the reference for messages: a Node service that does less ---------------------------------------------------------

export class NodeService {
	static folder = fileURLToPath(new URL("node_service", import.meta.url));

	// True: its packages are there. Else why not has been said.
	static install() {
		const there = () => existsSync(path.join(this.folder, "node_modules"));
		if (!there() && spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: this.folder, stdio: ["ignore", "ignore", "inherit"] }).status !== 0)
			console.log(`There is no Node service to compare with: npm ci failed in ${this.folder}`);
		return there();
	}

	// On the Redis of a stack.
	static async start(upstream, stack) {
		const node = new NodeService();
		node.child = service(process.execPath, [path.join(this.folder, "server.mjs"), stack.redis, upstream.url]);
		node.port = Number((await node.child.lines.next()).value);
		return node;
	}

	each(measure) {
		return { node: measure(this.child.pid) };
	}

	stop() {
		this.child.kill("SIGTERM");
	}
}

// ---- a Redis that nobody serves from ---------------------------------------------------------------------------------

export class BareRedis {
	static async start() {
		const redis = new BareRedis();
		redis.dir = temporaryFolder();
		redis.socket = path.join(redis.dir, "redis.sock");
		// redis-tools has the server too, under another name; it goes by what it is called with.
		redis.server = service("redis-check-rdb", ["--port", "0", "--unixsocket", redis.socket, "--save", "", "--dir", redis.dir,
			"--logfile", "/dev/null"],
			{ argv0: "redis-server" });
		for (let tries = 0; redis.#ask("ping") !== "PONG"; tries++) {
			if (tries === 200)
				throw new Error("Redis does not answer");
			await pause(50);
		}
		return redis;
	}

	#ask(...words) {
		return spawnSync("redis-cli", ["-s", this.socket, ...words], { env, encoding: "utf8" }).stdout.trim();
	}

	memory() {
		return Number(/^used_memory:(\d+)/m.exec(this.#ask("info", "memory"))[1]);
	}

	async fill(count) {
		const child = service(path.join(build, "tests/bench/fill"), [this.dir, String(count)]);
		if ((await child.lines.next()).value !== '{"event":"filled"}')
			throw new Error("filling failed");
	}

	send(commands) {
		const wire = commands.map((words) => `*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join("")}`);
		execFileSync("redis-cli", ["-s", this.socket, "--pipe"], { env, input: wire.join(""), stdio: ["pipe", "ignore", "inherit"] });
	}

	stop() {
		this.server.kill("SIGTERM");
	}
}

// ---- tools ---------------------------------------------------------------------------------------------------------

const tool = (name) => path.join(build, "tests/bench", name);

export class Upstream {
	static async start() {
		const upstream = new Upstream();
		const child = service(tool("upstream"), []);
		upstream.port = Number((await child.lines.next()).value);
		upstream.url = `http://127.0.0.1:${upstream.port}/v1`;
		return upstream;
	}

	// Answers begin after delay ms, have so many tokens, interval ms apart (0: all in one piece); more: for sounds, see upstream.c.
	// Says what it was asked since the last time.
	async set({ delay = 0, tokens = 20, interval = 0, ...more } = {}) {
		const res = await fetch(`http://127.0.0.1:${this.port}/control?${new URLSearchParams({ delay, tokens, interval, ...more })}`);
		return res.json();
	}
}

// One of this folder's programs that speak to Helpline.
class Client {
	constructor(name, args) {
		this.child = service(tool(name), args.map(String));
	}

	// The program's next event, which must be the one that is named.
	async event(name) {
		const { value, done } = await this.child.lines.next();
		const event = done ? { event: "nothing" } : JSON.parse(value);
		if (event.event !== name)
			throw new Error(`the load generator said ${JSON.stringify(event)}, not "${name}"`);
		return event;
	}

	go() {
		this.child.stdin.write("go\n");
	}
}

export class Load extends Client {
	// way: "rest", "socket" or "room"; options as the program's.
	constructor(way, stack, { users, seconds = 0, ramp = 0, settle = 0, expect = 0, stream = false }) {
		super("load", [way, "--port", stack.port, "--users", users, "--seconds", seconds, "--ramp", ramp,
			"--settle", settle, "--expect", expect, ...(stream ? ["--stream"] : [])]);
	}
}

export class Calls extends Client {
	constructor(stack, { account, agent, users, seconds, ramp = 0, piece = 20, interrupt = 0, greet = false }) {
		super("calls", ["--port", stack.port, "--account", account, "--agent", agent, "--users", users, "--seconds", seconds, "--ramp", ramp,
			"--piece", piece, "--interrupt", interrupt, ...(greet ? ["--greet"] : [])]);
	}
}

// 64 connections for some seconds: requests a second, in all, and those that did not get 200.
export async function wrk(url, { seconds = 2, script } = {}) {
	const args = ["-t1", "-c64", `-d${seconds}s`, "--latency", url];
	if (script) {
		const file = path.join(temporaryFolder(), "script.lua");
		writeFileSync(file, script);
		args.splice(0, 0, "-s", file);
	}
	const child = service("wrk", args);
	let text = "";
	for await (const line of child.lines)
		text += `${line}\n`;
	return {
		rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]),
		requests: Number(/(\d+) requests in/.exec(text)[1]),
		p99: /^\s+99%\s+(\S+)/m.exec(text)[1],
		failed: Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0) +
			Number((/Socket errors: (.*)/.exec(text)?.[1].match(/\d+/g) ?? []).reduce((a, b) => a + Number(b), 0)),
	};
}
