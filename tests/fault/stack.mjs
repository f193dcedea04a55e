// A private Helpline whose disk and clocks can be made to fail, and the hands that do it: harness.mjs's stack, with a Redis
// and programs that run below shim.so.

import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync, utimesSync,
	writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { newStateDir, root, startStack, upstreamEnv, waitFor } from "../harness.mjs";

const build = path.resolve(process.env.HELPLINE_BUILD ?? path.join(root, "build"));
const PROGRAMS = ["chat", "events", "health", "pushd"];

function inPath(...names) {
	const folders = `${process.env.PATH}:/usr/sbin:/sbin`.split(":");
	const found = names.flatMap((name) => folders.map((f) => path.join(f, name))).find((file) => existsSync(file));
	if (!found)
		throw new Error(`${names[0]} is not installed`);
	return found;
}

export function buildShim(dir) {
	const file = path.join(dir, "shim.so");
	const made = spawnSync("cc", ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", file,
		fileURLToPath(new URL("shim.c", import.meta.url)), "-ldl"], { encoding: "utf8" });
	if (made.status !== 0)
		throw new Error(`shim.c cannot be built\n${made.stderr}`);
	return file;
}

function script(file, lines) {
	writeFileSync(file, `#!/bin/bash\n${lines.join("\n")}\n`);
	chmodSync(file, 0o755);
}

// A folder with the file control (see shim.c), and the hands on it.
class Control {
	constructor(dir) {
		mkdirSync(dir);
		chmodSync(dir, 0o777);	// ./run as root makes its Redis somebody else's
		this.dir = dir;
		writeFileSync(path.join(dir, "control"), Buffer.alloc(16));
	}

	set(position, value) {
		const number = Buffer.alloc(8);
		number.writeBigInt64LE(BigInt(value));
		const fd = openSync(path.join(this.dir, "control"), "r+");
		writeSync(fd, number, 0, 8, position);
		closeSync(fd);
	}

	clock(seconds) {
		this.set(0, Math.round(seconds * 1e9));
	}

	diskFull(full) {
		this.set(8, full ? 1 : 0);
	}
}

// Redis is found in PATH: ours comes first. What was not durable when it was killed is cut off before it starts again.
function wrapRedis(dir, shim, control, fsync) {
	script(path.join(dir, "redis-server"), [
		`dir='${control.dir}'`,
		`for file in redis/appendonlydir/*.incr.aof; do`,
		`	[[ -e $dir/cut && -e $dir/durable-\${file##*/} ]] || continue`,
		`	size=$((10#$(<"$dir/durable-\${file##*/}"))) before=$(stat -c %s "$file")`,
		`	((size >= before)) || truncate -s "$size" "$file"`,
		`	echo "$((before > size ? before - size : 0))" >>"$dir/cuts"`,
		`done`,
		`export HELPLINE_FAULT_DIR=$dir LD_PRELOAD='${shim}'`,
		`exec -a redis-server '${inPath("redis-server", "valkey-server", "redis-check-rdb")}' "$@" --appendfsync ${fsync}`,
	]);
}

// A build tree that looks built, whose programs are the real ones below the shim.
function wrapPrograms(dir, shim, control) {
	const stage = path.join(build, "stage");
	const made = path.join(dir, "build", "stage");
	cpSync(stage, made, { recursive: true });
	writeFileSync(path.join(dir, "build", ".built"), "");
	utimesSync(path.join(dir, "build", ".built"), new Date(), new Date("2100-01-01"));
	for (const name of PROGRAMS)
		script(path.join(made, "libexec", "helpline", name), [
			`export HELPLINE_FAULT_DIR='${control.dir}' LD_PRELOAD='${shim}'`,
			`export ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS"`,
			`exec '${path.join(stage, "libexec", "helpline", name)}' "$@"`,
		]);
	return path.join(dir, "build");
}

// The stack of a run, with what can be done to it. fsync: Redis' appendfsync. shimmed: the programs are below the shim, too.
export async function startFaultStack(upstream, { fsync = "always", shimmed = false, env = {} } = {}) {
	const dir = newStateDir();
	const tools = `${dir}.fault`;
	mkdirSync(tools);
	const shim = buildShim(tools);
	const redis = new Control(path.join(tools, "redis"));
	const programs = new Control(path.join(tools, "programs"));
	mkdirSync(path.join(tools, "bin"));
	wrapRedis(path.join(tools, "bin"), shim, redis, fsync);
	const stack = await startStack({ stateDir: dir, env: {
		...upstreamEnv(upstream), PATH: `${path.join(tools, "bin")}:${process.env.PATH}`, TURN_TIMEOUT: "10000",
		...(shimmed && { HELPLINE_BUILD: wrapPrograms(tools, shim, programs) }), ...env,
	} });
	const finish = stack.finish.bind(stack);
	return Object.assign(stack, {
		tools, controls: { redis, programs },
		cutRedis: () => writeFileSync(path.join(redis.dir, "cut"), ""),
		finish: () => {
			finish();
			rmSync(tools, { recursive: true, force: true });
		},
	});
}

// Bytes that were written and not durable, for each death of Redis.
export function redisCuts(stack) {
	const file = path.join(stack.controls.redis.dir, "cuts");
	return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").map(Number) : [];
}

// ---- deaths ----

function children(parent) {
	return readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim().split(/\s+/).filter(Boolean).map(Number);
}

// The processes of that name, which may have a number; asked again while the supervisor is slow to say.
const called = (stack, name) => waitFor(`${name} is there`, async () => {
	const found = (await stack.programs()).filter((p) => p.name.replace(/[-@.]?(\d+|[ab])$/, "") === name);
	return found.length > 0 && found;
}, { ms: 30_000 });

// kill -9 of one that has that name now ("nginx worker": one of nginx's workers). False: it is just not there.
export async function killNow(stack, name, random) {
	const worker = name === "nginx worker";
	const found = await called(stack, worker ? "nginx" : name);
	try {
		const pids = found.flatMap((p) => (worker ? children(p.pid) : [p.pid]));
		process.kill(pids[Math.floor(random() * pids.length)], "SIGKILL");
		return true;
	} catch {
		return false;
	}
}

export const ready = (stack, ms = 60_000) => waitFor("/ready is 200", async () =>
	(await stack.get("/ready").catch(() => ({}))).status === 200, { ms, every: 100 });

// The soft limit of open files of all that have that name: how many more than are open; null: as many as it may.
export async function limitFiles(stack, name, spare) {
	for (const { pid } of await called(stack, name)) {
		const open = readdirSync(`/proc/${pid}/fd`).length;
		const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))[1];
		const limit = spare === null ? hard : String(open + spare);
		const { uid, gid } = statSync(`/proc/${pid}`);	// who may change it is that user
		const made = spawnSync("prlimit", ["--pid", String(pid), `--nofile=${limit}:${hard}`], { encoding: "utf8", uid, gid });
		if (made.status !== 0)
			throw new Error(`prlimit: ${made.stderr}`);
	}
}
