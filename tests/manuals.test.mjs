// The manual pages: they are well-formed, and say what --help says.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import assert from "node:assert/strict";
import { root } from "./harness.mjs";

const build = process.env.HELPLINE_BUILD;
const programs = ["auth", "chat", "desk", "events", "health", "pushd"];
const pages = [...readdirSync(path.join(root, "fcgi")).filter((f) => f.endsWith(".8")).map((f) => path.join(root, "fcgi", f)),
	path.join(root, "fcgi/helpline/helpline.8"), path.join(root, "www/helpline-api.7"),
	path.join(build, "lib/base/helpline.conf.5")];
const page = (name) => readFileSync(pages.find((p) => path.basename(p) === name), "utf8");
const say = (program, ...args) => spawnSync(path.join(build, program), args, { encoding: "utf8" }).stdout;

test("each page is well-formed", () => {
	for (const file of pages) {
		const out = spawnSync("mandoc", ["-T", "lint", file], { encoding: "utf8" });
		assert.equal(out.error, undefined);
		// Pages of other packages, and ours that are not installed, cannot be found; mandoc.db is no business of ours.
		const said = out.stdout.split("\n").filter((line) => line && !line.includes("referenced manual not found"));
		assert.deepEqual(said, [], file);
	}
});

test("each program has a page, with its options", () => {
	for (const name of programs) {
		const text = page(`helpline-${name}.8`);
		assert.match(text, new RegExp(`^\\.Nm helpline-${name}$`, "m"));
		const options = say(name, "--help").match(/--[a-z]+/g);
		assert.ok(options.length >= 2, name);
		for (const option of options)
			assert.ok(text.includes(`.It Fl -${option.slice(2)}`), `${name}: ${option}`);
		for (const other of [...text.matchAll(/^\.It Fl -([a-z]+)/gm)])
			assert.ok(options.includes(`--${other[1]}`), `${name} has no --${other[1]}`);
	}
});

// A subcommand's options by the usage, and by the items of the page that begin with its name.
function usages() {
	return [...say("helpline", "--help").matchAll(/^ {2}helpline ([a-z][a-z-]*)(.*)\n/gm)]
		.map(([, name, usage]) => ({ name, options: new Set(usage.match(/--[a-z-]+/g) ?? []) }));
}

test("the command's page has every subcommand and option, and no other", () => {
	const text = page("helpline.8");
	// What is said once for all of them.
	const common = new Set([...text.slice(0, text.indexOf(".Ss")).matchAll(/^\.It Fl (-[a-z-]+)/gm)].map((m) => `-${m[1]}`));
	const items = [...text.matchAll(/^\.It Cm ([a-z][a-z-]*)(.*)$/gm)];
	const known = usages();
	assert.ok(known.length > 10);
	for (const { name, options } of known) {
		const own = items.filter((m) => m[1] === name);
		assert.ok(own.length > 0, `no item for ${name}`);
		const said = new Set(own.flatMap((m) => [...m[2].matchAll(/\bFl (-[a-z-]+)/g)].map((f) => `-${f[1]}`)));
		for (const option of options)
			assert.ok(said.has(option) || common.has(option), `${name} ${option} is not in the page`);
		for (const option of said)
			assert.ok(options.has(option), `${name} has no ${option}`);
	}
	for (const [, name] of items)
		assert.ok(known.some((k) => k.name === name), `there is no ${name}`);
});

test("the page of the settings has every setting, its default and what it may be", () => {
	const text = page("helpline.conf.5");
	const settings = JSON.parse(say("helpline", "config", "explain", "--json"));
	assert.ok(settings.length > 70);
	for (const { name, min, max } of settings) {
		const item = text.split(`.It Ev ${name}\n`)[1];
		assert.ok(item, name);
		if (min !== undefined)
			assert.match(item.split(".It ")[0], new RegExp(`from ${min} to ${max}`), name);
	}
	const shown = spawnSync("mandoc", ["-T", "ascii", "-O", "width=200", pages.at(-1)], { encoding: "utf8" }).stdout.replace(/.\x08/g, "");
	for (const { name, meaning } of settings)
		if (!/[^\x20-\x7e]|["']/.test(meaning))
			assert.ok(shown.replace(/\s+/g, " ").includes(`${meaning}.`), `${name}: ${meaning}`);
});

test("the API's page names paths that the description has", () => {
	const paths = Object.keys(JSON.parse(readFileSync(path.join(root, "www/openapi.json"), "utf8")).paths);
	for (const [, where] of page("helpline-api.7").matchAll(/^\.It Pa (\/(?:api|v1)\/?[a-z0-9/]*)$/gm))
		assert.ok(paths.some((p) => p.startsWith(where)), where);
});
