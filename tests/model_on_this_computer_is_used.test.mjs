// Without a key, ./run looks for an OpenAI-compatible server on loopback (Ollama's and llama.cpp's ports), uses it and says so.
// In a network of its own, so that it neither finds what the developer runs nor is found by other tests.

import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import path from "node:path";
import { root, environment, newStateDir, Stack } from "./harness.mjs";

const possible = process.getuid() === 0 && spawnSync("unshare", ["-n", "ip", "link", "set", "lo", "up"]).status === 0;

const script = `
ip link set lo up
node "$TESTS/upstream.mjs" --port "$MODEL_PORT" --text "Says the local model." >/dev/null &
model=$!
trap 'kill $model; "$RUN" --state-dir "$STATE" --stop >/dev/null' EXIT
until curl -s "http://127.0.0.1:$MODEL_PORT/v1/models" >/dev/null; do sleep 0.05; done
"$RUN" --state-dir "$STATE" --port 3000 --detach >&2 || exit 1
post() { curl -s -H 'Content-Type: application/json' -d "$2" "http://127.0.0.1:3000/api/v1/chat/$1"; }
id=$(post session '{"userId":"u"}' | sed 's/.*"sessionId":"\\([^"]*\\)".*/\\1/')
post message '{"userId":"u","sessionId":"'"$id"'","message":"hello"}'
`;

for (const [name, port] of [["Ollama", 11434], ["llama.cpp", 8080]])
	test(`on ${name}'s port`, { skip: !possible && "needs root, unshare and ip" }, async () => {
		const dir = newStateDir();
		const child = spawn("unshare", ["-n", "bash", "-c", script], { stdio: ["ignore", "pipe", "pipe"], env: environment({
			TESTS: path.join(root, "tests"), RUN: path.join(root, "run"), STATE: dir, MODEL_PORT: String(port), OPENAI_BASE_URL: "", OPENAI_MODEL: "",
		}) });
		let out = "";
		let said = "";
		child.stdout.on("data", (data) => { out += data; });
		child.stderr.on("data", (data) => { said += data; });
		await new Promise((resolve) => { child.on("close", resolve); });
		new Stack(dir, {}).finish();
		assert.match(said, new RegExp(`127\\.0\\.0\\.1:${port}`), "it says which server it uses");
		const body = JSON.parse(out);
		assert.equal(body.response, "Says the local model.", said);
		assert.notEqual(body.provider, "offline");
	});
