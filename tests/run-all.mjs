// All tests: the unit tests of HELPLINE_BUILD and every tests/*.test.mjs, as many at once as the computer bears.  What ./run
// test calls.
//
//	node tests/run-all.mjs [word ...]	only the files whose names contain one of the words (unit: the unit tests)
//
//	HELPLINE_SLOTS=N	one thing at a time (1), or more than two a core
//
// The last line is "N passed, N failed"; the exit status follows it.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "node:test";

const here = path.dirname(fileURLToPath(import.meta.url));
const build = process.env.HELPLINE_BUILD;
const words = process.argv.slice(2);
const wanted = (name) => words.length === 0 || words.some((w) => name.includes(w));

const FILE_LIMIT_MS = 360_000;

// Tests wait for most of their time: two files a core. Four keep two cores busy; more only stand in each other's way.
const SLOTS = Number(process.env.HELPLINE_SLOTS) || 2 * Math.min(2, availableParallelism());

// The longest ones first, so that none of them is left running alone at the end.
const FIRST = ["systemd.test", "package.test", "page", "provider_failures", "live_voice", "fault_short", "admin_data",
	"voice_demonstration", "hearing", "openapi", "nginx_examples", "voice_worker_model", "command"];

// What keeps a core busy by itself takes two slots. What measures time, or listens as it goes, runs when nothing else does.
const HEAVY = ["page", "openapi", "admin_data", "voice_demonstration"];
const ALONE = ["voice_page"];

// They install what ./run package makes.
const OF_PACKAGE = ["package.test", "systemd.test"];

let passed = 0;
let failed = 0;
const took = [];		// each file and its milliseconds, its stack's start and end with it
const failures = new Map();	// reason → tests: what a hook that failed says, it says for each of its tests

function fail(what, why) {
	failed++;
	const known = failures.get(why);
	failures.set(why, [...(known ?? []), what]);
	console.log(`    NOT OK  ${what}`);
	if (!known)
		console.log(why.replace(/^/gm, "            "));
}

function command(name, args, options = {}) {
	return new Promise((resolve) => {
		const child = spawn(name, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
		let text = "", stdout = "";
		child.stdout.on("data", (data) => { text += data; stdout += data; });
		child.stderr.on("data", (data) => { text += data; });
		child.on("error", (error) => resolve({ status: -1, text: String(error), stdout }));
		child.on("close", (status) => resolve({ status, text, stdout }));
	});
}

// ---- at once: what is to be done waits for its slots; the lowest rank is next, and nothing narrower overtakes it ----

let free = SLOTS;
const queue = [];

function letIn() {
	while (queue.length > 0 && queue[0].slots <= free) {
		const { slots, begin } = queue.shift();
		free -= slots;
		begin();
	}
}

async function inSlots({ slots: wanted, rank }, work) {
	const slots = Math.min(wanted, SLOTS);
	await new Promise((begin) => {
		queue.push({ slots, rank, begin });
		queue.sort((a, b) => a.rank - b.rank);
		setImmediate(letIn);	// when all who come now have their places
	});
	try {
		return await work();
	} finally {
		free += slots;
		letIn();
	}
}

// ----

// Automake runs them; their logs tell how many cases each has.
async function unitTests() {
	const find = () => readdirSync(build, { recursive: true }).filter((f) => f.endsWith(".trs"));
	for (const old of find())
		rmSync(path.join(build, old));
	const { status, text } = await command("make", ["-C", build, "-k", "-j2", "check"]);
	const results = find();
	if (results.length === 0)
		return fail("make check", text.slice(-3000));
	const before = failed;
	for (const name of results) {
		const title = path.basename(name, ".trs");
		const log = readFileSync(path.join(build, name.replace(/\.trs$/, ".log")), "utf8");
		const cases = Number(/\[ {2}PASSED {2}\] (\d+) test/.exec(log)?.[1] ?? 0);
		if (/^:test-result: PASS/m.test(readFileSync(path.join(build, name), "utf8"))) {
			passed += Math.max(cases, 1);
			console.log(`    ok      ${title} (${cases})`);
		} else {
			passed += cases;
			fail(title, log.slice(-3000));
		}
	}
	if (status !== 0 && failed === before)
		fail("make check", text.slice(-3000));
}

async function packages() {
	const lock = path.join(here, "package-lock.json");
	const installed = path.join(here, "node_modules", ".package-lock.json");
	if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs)
		return true;
	console.log("npm ci");
	const { status, text } = await command("npm", ["ci", "--no-audit", "--no-fund"], { cwd: here });
	if (status !== 0)
		fail("npm ci", text.slice(-2000));
	return status === 0;
}

// The Debian package, for those that install it; HELPLINE_PACKAGE tells them where it is.
async function makePackage() {
	if (process.env.HELPLINE_PACKAGE)
		return true;
	const { status, stdout, text } = await command("nice", ["-n", "5", path.join(here, "..", "run"), "package"]);
	if (status !== 0)
		fail("./run package", text.slice(-3000));
	process.env.HELPLINE_PACKAGE = stdout.trim();
	return status === 0;
}

function reason(error) {
	const cause = error?.cause ?? error;
	return `${cause?.stack ?? cause?.message ?? String(cause)}`.split("\n").filter((l) => !/node:internal/.test(l)).slice(0, 25).join("\n");
}

function nodeTests(name) {
	const began = Date.now();
	return new Promise((resolve) => {
		const stream = run({ files: [path.join(here, name)], concurrency: 1, timeout: FILE_LIMIT_MS });
		const title = ({ file, name }) => `${file ? path.basename(file, ".test.mjs") : ""}: ${name}`;
		stream.on("test:pass", (data) => {
			if (data.details.type === "suite" || data.skip !== undefined || data.todo !== undefined)
				return;
			passed++;
			console.log(`    ok      ${title(data)} (${Math.round(data.details.duration_ms)} ms)`);
		});
		stream.on("test:fail", (data) => {
			const { error } = data.details;
			// A parent fails with its children, which have been counted; a crashed file has none.
			if (error?.failureType === "subtestsFailed")
				return;
			fail(title(data), reason(error));
		});
		stream.on("end", () => {
			took.push([path.basename(name, ".test.mjs"), Date.now() - began]);
			resolve();
		});
		stream.resume();
	});
}

// What servers answered in all the tests is what www/openapi.json says; when all were run, each operation succeeded once.
async function compareRecords() {
	const { checkRecords, operations } = await import("./openapi.mjs");
	const { count, complaints, done } = checkRecords(records);
	if (count === 0)
		return;
	const title = "www/openapi.json describes what was answered";
	for (const [complaint, where] of complaints)
		fail(title, `${complaint}\n(${where})`);
	const unseen = operations.map((o) => o.operation.operationId).filter((name) => !done.has(name));
	if (words.length === 0 && unseen.length > 0)
		fail(title, `no test was answered with success by ${unseen.join(", ")}`);
	else if (complaints.size === 0) {
		passed++;
		console.log(`    ok      ${title} (${count} answers, ${done.size} of ${operations.length} operations)`);
	}
}

// What a killed test file may have left running.
function sweep(folder) {
	for (const name of readdirSync(folder)) {
		const dir = path.join(folder, name);
		spawnSync(path.join(here, "..", "run"), ["--state-dir", dir, "--stop"], { timeout: 20_000, stdio: "ignore" });
	}
	if (!process.env.HELPLINE_TEST_KEEP)
		rmSync(folder, { recursive: true, force: true });
}

const start = Date.now();
const folder = mkdtempSync(path.join(tmpdir(), "helpline-tests-"));
mkdirSync(folder, { recursive: true });
process.env.HELPLINE_TEST_TMP = folder;
const records = mkdtempSync(path.join(tmpdir(), "helpline-records-"));
process.env.HELPLINE_RECORD = records;

const isOne = (list, name) => list.some((f) => name.startsWith(f));
const rank = (name) => {
	const at = FIRST.findIndex((f) => name.startsWith(f));
	return isOne(ALONE, name) ? FIRST.length + 1 : at < 0 ? FIRST.length : at;
};
const files = readdirSync(here).filter((f) => f.endsWith(".test.mjs") && wanted(f)).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
console.log(`${files.length} files of black-box tests${build && wanted("unit") ? ", and unit tests" : ""}`);

// Two compilers at once are two slots. The package comes first, because two of the longest files wait for it.
const all = [];
let made;
if (files.some((name) => isOne(OF_PACKAGE, name)))
	all.push(made = inSlots({ slots: 2, rank: -1 }, makePackage));
const installed = packages();
if (build && wanted("unit"))
	all.push((files.length > 0 ? installed : Promise.resolve()).then(() => inSlots({ slots: 2, rank: FIRST.length - 0.5 }, unitTests)));
const slotsOf = (name) => (isOne(ALONE, name) ? SLOTS : isOne(HEAVY, name) ? 2 : 1);
if (await installed)
	for (const name of files)
		all.push((async () => (!isOne(OF_PACKAGE, name) || await made) && inSlots({ slots: slotsOf(name), rank: rank(name) }, () => nodeTests(name)))());
await Promise.all(all);
sweep(folder);
if (existsSync(path.join(here, "node_modules", "ajv")))
	await compareRecords();
rmSync(records, { recursive: true, force: true });

if (failed > 0)
	console.log(`\nfailures:\n${[...failures].map(([why, what]) => `${what.join("\n")}\n${why}\n`).join("\n")}`);
const seconds = (ms) => Math.round(ms / 1000);
const longest = took.sort((a, b) => b[1] - a[1]).slice(0, 12).map(([name, ms]) => `${name} ${seconds(ms)} s`);
console.log(`\nthe longest: ${longest.join(", ")}`);
const building = Number(process.env.HELPLINE_BUILT_IN) || 0;
console.log(`${seconds(Date.now() - start) + building} s${building ? `, ${building} s of them to build` : ""}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
