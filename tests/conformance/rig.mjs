// What CONFORMANCE asks for, started privately in a folder of its own: the echo program and the push daemon with the
// test's own event handler behind one nginx, on 127.0.0.1 and ::1.
//
//	node tests/conformance/rig.mjs [port]	keeps it running, on port 3000, for the public suites

import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build, buildPrograms } from "../programs.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const WEBSOCKET = `proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection upgrade;
proxy_set_header X-Forwarded-For $remote_addr;
proxy_read_timeout 60s;
proxy_buffer_size 4k;
`;

function freePort() {
	return new Promise((resolve, reject) => {
		const server = net.createServer().once("error", reject).listen(0, "127.0.0.1", () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

async function listening(where, child) {
	for (let i = 0; i < 1000; i++) {
		if (child.exitCode !== null)
			throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
		const up = await new Promise((resolve) => {
			const socket = net.connect(where).once("connect", () => { socket.destroy(); resolve(true); })
				.once("error", () => resolve(false));
		});
		if (up)
			return;
		await pause(10);
	}
	throw new Error(`nobody listens on ${JSON.stringify(where)}`);
}

const PROGRAMS = "tests/conformance";
const program = (name) => path.join(build, PROGRAMS, name);

export async function startRig({ port, env = {}, redis = true } = {}) {
	buildPrograms(...["echo", "events_app", "holder"].map((name) => `${PROGRAMS}/${name}`));
	const dir = mkdtempSync(path.join(tmpdir(), "helpline-push-"));
	const children = new Map();
	const logs = new Map();
	port ??= await freePort();

	// argv0: redis-tools has the server under another name, and it goes by what it is called with.
	function start(name, command, args, more = {}) {
		const child = spawn(command, args, {
			cwd: dir, argv0: more.argv0, stdio: [more.stdin ?? "ignore", "pipe", "pipe"],
			env: {
				PATH: process.env.PATH, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? "", UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? "",
				SOCKET_PING_INTERVAL: "25000", SOCKET_PING_TIMEOUT: "20000", SOCKET_CONNECT_TIMEOUT: "45000",
				SOCKET_MAX_PAYLOAD: "1000000", SOCKET_RECOVERY: "0", REDIS_SOCKET: "redis.sock", HELPLINE_EVENTS: "events.sock", ...env, ...more.env,
			},
		});
		logs.set(name, logs.get(name) ?? "");
		for (const stream of [child.stdout, child.stderr])
			stream.on("data", (data) => { logs.set(name, logs.get(name) + data); });
		children.set(name, child);
		return child;
	}
	const stopOne = (name, signal = "SIGTERM") => new Promise((resolve) => {
		const child = children.get(name);
		if (!child || child.exitCode !== null || child.signalCode !== null)
			return resolve(child?.exitCode);
		child.once("exit", (code) => resolve(code));
		child.kill(signal);
		setTimeout(() => child.kill("SIGKILL"), 10_000).unref();
	});

	// The daemon's sockets outlive it, as they do under helpline supervise.
	let holder, pushd = 0;
	const answers = [];
	function startHolder(more = {}) {
		holder = start("pushd", program("holder"), [path.join(build, "pushd"), "polls.sock", "ws.sock"], { stdin: "pipe", env: more });
		createInterface({ input: holder.stdout }).on("line", (line) => {
			if (/^(pid|exit) /.test(line))
				answers.shift()?.(Number(line.split(" ")[1]));
		});
	}
	const tell = (line) => new Promise((resolve) => { answers.push(resolve); holder.stdin.write(`${line}\n`); });
	const startPushd = async () => { pushd = await tell("start"); };
	const SIGNALS = { SIGTERM: 15, SIGKILL: 9 };
	async function stopPushd(signal = "SIGTERM") {
		if (!pushd || holder.exitCode !== null)
			return undefined;
		const code = await tell(`stop ${SIGNALS[signal]}`);
		pushd = 0;
		return code;
	}

	mkdirSync(path.join(dir, "tmp"));
	writeFileSync(path.join(dir, "websocket.conf"), WEBSOCKET);
	writeFileSync(path.join(dir, "nginx.conf"), readFileSync(path.join(here, "nginx.conf.in"), "utf8").replaceAll("@PORT@", String(port)));
	const rig = {
		dir, port, url: `http://127.0.0.1:${port}`, children, logs,
		pid: (name) => name === "pushd" ? pushd : children.get(name).pid,
		start, stopOne, startPushd, stopPushd,
		startEvents: () => start("events", program("events_app"), ["events.sock"]),
		// Ends everything; gives what the programs' exits say.
		async stop() {
			const codes = {};
			codes.pushd = await stopPushd();
			for (const name of ["echo", "events"])
				codes[name] = await stopOne(name);
			for (const name of children.keys())
				await stopOne(name);
			if (!process.env.KEEP)
				rmSync(dir, { recursive: true, force: true });
			const bad = Object.entries(codes).filter(([, code]) => code !== 0 && code !== undefined);
			if (bad.length)
				throw new Error(bad.map(([name, code]) => `${name} ended with ${code}: ${logs.get(name)}`).join("\n"));
		},
	};
	try {
		start("echo", program("echo"), ["echo-polls.sock", "echo-ws.sock"]);
		await listening({ path: path.join(dir, "echo-ws.sock") }, children.get("echo"));
		if (redis) {
			start("redis", "redis-check-rdb", ["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no"], { argv0: "redis-server" });
			await listening({ path: path.join(dir, "redis.sock") }, children.get("redis"));
			rig.startEvents();
			await listening({ path: path.join(dir, "events.sock") }, children.get("events"));
			startHolder();
			await startPushd();
		}
		// Started by root its worker would be nobody, who cannot reach the sockets in this folder.
		const user = process.getuid() === 0 ? ["-g", "user root;"] : [];
		start("nginx", "nginx", ["-p", dir, "-c", "nginx.conf", "-e", "stderr", ...user]);
		await listening({ port, host: "127.0.0.1" }, children.get("nginx"));
	} catch (error) {
		for (const name of children.keys())
			await stopOne(name, name === "nginx" ? "SIGTERM" : "SIGKILL");
		throw new Error([error.message, ...[...logs].map(([name, text]) => `${name}: ${text}`)].join("\n"));
	}
	process.once("exit", () => {
		for (const [name, child] of children)
			child.kill(name === "nginx" ? "SIGTERM" : "SIGKILL");	// its worker would outlive it
	});
	return rig;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const rig = await startRig({ port: Number(process.argv[2] ?? 3000) });
	console.log(`${rig.url}  (${rig.dir})`);
	for (const signal of ["SIGINT", "SIGTERM"])
		process.once(signal, () => rig.stop().finally(() => process.exit(0)));
}
