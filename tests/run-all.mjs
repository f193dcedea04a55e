// All tests: the unit tests of HELPLINE_BUILD, then every tests/*.test.mjs, two files at a time.  What ./run test calls.
//
//	node tests/run-all.mjs [word ...]	only the files whose names contain one of the words (unit: the unit tests)
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
// The longest ones first, so that none of them is left running alone at the end.
const FIRST = ["bad_requests", "bad_packets", "provider_failures", "run_script", "killed_program", "page", "escalation_rules", "socketio_contract"];

// What measures time, or listens as it goes, runs when nothing else does.
const ALONE = ["conformance", "package.test", "systemd.test", "voice_page"];

let passed = 0;
let failed = 0;
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
		let text = "";
		child.stdout.on("data", (data) => { text += data; });
		child.stderr.on("data", (data) => { text += data; });
		child.on("error", (error) => resolve({ status: -1, text: String(error) }));
		child.on("close", (status) => resolve({ status, text }));
	});
}

// Automake runs them; their logs tell how many cases each has.
async function unitTests() {
	console.log("unit tests");
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

function reason(error) {
	const cause = error?.cause ?? error;
	return `${cause?.stack ?? cause?.message ?? String(cause)}`.split("\n").filter((l) => !/node:internal/.test(l)).slice(0, 25).join("\n");
}

function nodeTests(files, concurrency) {
	return new Promise((resolve) => {
		const stream = run({ files, concurrency, timeout: FILE_LIMIT_MS });
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
		stream.on("end", resolve);
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

if (build && wanted("unit"))
	await unitTests();
if (await packages()) {
	const order = (name) => {
		const at = FIRST.findIndex((f) => name.startsWith(f));
		return at < 0 ? FIRST.length : at;
	};
	const files = readdirSync(here).filter((f) => f.endsWith(".test.mjs") && wanted(f)).sort((a, b) => order(a) - order(b) || a.localeCompare(b));
	console.log(`${files.length} files of black-box tests`);
	const alone = (name) => ALONE.some((f) => name.startsWith(f));
	const paths = (list) => list.map((f) => path.join(here, f));
	for (const [list, concurrency] of [[files.filter((f) => !alone(f)), Math.min(2, availableParallelism())], [files.filter(alone), 1]])
		if (list.length > 0)
			await nodeTests(paths(list), concurrency);
}
sweep(folder);
if (existsSync(path.join(here, "node_modules", "ajv")))
	await compareRecords();
rmSync(records, { recursive: true, force: true });

if (failed > 0)
	console.log(`\nfailures:\n${[...failures].map(([why, what]) => `${what.join("\n")}\n${why}\n`).join("\n")}`);
console.log(`\n${Math.round((Date.now() - start) / 1000)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
