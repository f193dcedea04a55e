// Calls in LiveKit's rooms (contract: desk API, LiveKit). The server SDK of LiveKit itself reads our tokens and signs its
// webhooks; the server is tests/twirp.mjs.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { TokenVerifier } from "livekit-server-sdk";
import { startStack, assertProblem, unique, ISO } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";
import { startTwirp, KEY, SECRET } from "./twirp.mjs";

const verifier = new TokenVerifier(KEY, SECRET);
const ID = /^[A-Za-z0-9_-]{22}$/;
const seconds = (n) => Math.floor(Date.now() / 1000) + n;

let livekit, stack, ada, eve;

before(async () => {
	livekit = await startTwirp();
	stack = await startStack({ env: { ...DESK_ENV, ...livekit.env } });
	[ada, eve] = [await Person.join(stack), await Person.join(stack, "Eve Dropper")];
});
after(async () => {
	await stack?.stop();
	await livekit?.close();
});
beforeEach(() => livekit.reset());

const guest = (roomName, more = {}) => ({ roomName, participantName: "Grace", participantIdentity: "grace", ...more });
const create = (person, roomName, more) => person.ok("POST", "/api/livekit/create-room", guest(roomName, more), 201);
const last = (method) => livekit.named(method).at(-1);

describe("tokens", () => {
	test("of a participant open one room, under the name that LiveKit knows, for an hour", async () => {
		for (const target of ["/api/livekit/join-room", "/api/livekit/token"]) {
			const got = await ada.ok("POST", target, guest("Büro 7 ☎"));
			assert.deepEqual([got.roomName, got.wsUrl, got.token], ["Büro 7 ☎", livekit.url, got.participantToken]);
			const claims = await verifier.verify(got.token);
			const { room, ...video } = claims.video;
			assert.match(room, /^[A-Za-z0-9_-]{22}_Büro 7 ☎$/);
			assert.deepEqual(video, { roomJoin: true, canPublish: true, canSubscribe: true, canPublishData: true });
			assert.deepEqual([claims.sub, claims.name, claims.iss, claims.exp - claims.nbf], ["grace", "Grace", KEY, 3600]);
			assert.ok(Math.abs(claims.nbf - seconds(0)) < 60);
		}
		assert.equal(livekit.calls.length, 0, "a token needs no call");
	});

	test("who gives no identity gets one that nobody else has", async () => {
		const [a, b] = [await ada.ok("POST", "/api/livekit/token", { roomName: "r" }), await ada.ok("POST", "/api/livekit/token", { roomName: "r" })];
		assert.match((await verifier.verify(a.token)).sub, ID);
		assert.notEqual(a.participantIdentity, b.participantIdentity);
	});

	test("of a room administrate that one and no more, for a quarter of an hour", async () => {
		const got = await create(ada, "front-desk");
		const claims = await verifier.verify(got.roomToken);
		assert.deepEqual(claims.video, { roomAdmin: true, room: [...livekit.rooms.keys()][0] });
		assert.ok(claims.exp - claims.nbf <= 900 && claims.sub === undefined);
		assert.equal((await verifier.verify(got.participantToken)).video.roomJoin, true);
	});

	test("of our own calls live a quarter of an hour at most, and allow just that call", async () => {
		await create(ada, "front-desk");
		await ada.ok("GET", "/api/livekit/rooms");
		await ada.ok("GET", "/api/livekit/room/front-desk/participants");
		await ada.ok("POST", "/api/livekit/room/front-desk/recording", {}, 201);
		await ada.ok("DELETE", "/api/livekit/room/front-desk");
		const room = livekit.calls[0].body.name;
		const grants = { CreateRoom: { roomCreate: true }, DeleteRoom: { roomCreate: true }, ListRooms: { roomList: true }, ListParticipants: { roomAdmin: true, room },
			ListEgress: { roomRecord: true }, StartRoomCompositeEgress: { roomRecord: true } };
		for (const { method, claims } of livekit.calls) {
			assert.deepEqual(claims.video, grants[method.split("/")[1]], method);
			assert.ok(claims.exp - claims.nbf <= 900 && claims.iss === KEY, method);
		}
	});

	test("bad names are refused, and say which", async () => {
		const bad = [[{}, /roomName is required/], [{ roomName: null }, /roomName/], [{ roomName: 7 }, /roomName must be a string/], [{ roomName: "" }, /roomName/],
			[{ roomName: "  " }, /roomName/], [{ roomName: "a/b" }, /roomName/], [{ roomName: ".." }, /roomName/], [{ roomName: "a\nb" }, /roomName/],
			[{ roomName: "x".repeat(129) }, /roomName/], [{ roomName: ["a"] }, /roomName/], [guest("r", { participantIdentity: "a/b" }), /participantIdentity/],
			[guest("r", { participantIdentity: {} }), /participantIdentity/], [guest("r", { participantIdentity: "x".repeat(129) }), /participantIdentity/],
			[guest("r", { participantName: false }), /participantName/], [guest("r", { conversationId: 1 }), /conversationId/]];
		for (const target of ["join-room", "token", "room", "create-room"]) {
			for (const [body, sentence] of bad)
				assertProblem(await ada.post(`/api/livekit/${target}`, body), 400, sentence, JSON.stringify(body));
			for (const body of ["[]", "{", '{"roomName":"\\u0000"}', '{"roomName":"\\ud800"}', ""])
				assertProblem(await ada.post(`/api/livekit/${target}`, body), 400, undefined, body);
			assertProblem(await ada.post(`/api/livekit/${target}`, guest("r", { conversationId: "x".repeat(22) })), 404, /no such conversation/i);
			assertProblem(await stack.call("POST", `/api/livekit/${target}`, { body: guest("r") }), 401);
		}
		assert.equal(livekit.calls.length, 0);
	});
});

describe("rooms", () => {
	test("are made once, listed, ended; by the names that their account gave them", async () => {
		await create(ada, "front-desk");
		await ada.ok("POST", "/api/livekit/room", guest("front-desk"), 201);
		await create(ada, "back office");
		assert.equal(livekit.rooms.size, 2);
		livekit.join(livekit.room("front-desk").info.name, "grace");
		const list = await ada.ok("GET", "/api/livekit/rooms");
		assert.deepEqual(list.map((r) => r.name).sort(), ["back office", "front-desk"]);
		const one = list.find((r) => r.name === "front-desk");
		assert.equal(one.numParticipants, 1);
		assert.equal(one.emptyTimeout, 300);
		assert.match(one.createdAt, ISO);
		assert.ok(Math.abs(one.creationTime - seconds(0)) < 60);
		assert.equal(typeof (await ada.ok("DELETE", "/api/livekit/room/front-desk")).message, "string");
		assert.equal(typeof (await ada.ok("DELETE", "/api/livekit/rooms/back%20office")).message, "string");
		assert.deepEqual(await ada.ok("GET", "/api/livekit/rooms"), []);
		assertProblem(await ada.delete("/api/livekit/room/front-desk"), 404, /no such room/i);
	});

	test("for trying have a name of their own", async () => {
		const [a, b] = [await ada.ok("POST", "/api/livekit/create-test-room", undefined, 201), await ada.ok("POST", "/api/livekit/create-test-room", {}, 201)];
		assert.notEqual(a.name, b.name);
		assert.equal(a.wsUrl, livekit.url);
		assert.equal((await verifier.verify(a.token)).video.room, livekit.room(a.name).info.name);
	});

	test("of one account another can neither see, enter, change nor end", async () => {
		await create(ada, "secret-room");
		const name = livekit.room("secret-room").info.name;
		livekit.join(name, "grace");
		assert.deepEqual(await eve.ok("GET", "/api/livekit/rooms"), []);
		const hers = await eve.ok("POST", "/api/livekit/join-room", guest("secret-room"));
		assert.notEqual((await verifier.verify(hers.token)).video.room, name);
		for (const said of ["secret-room", encodeURIComponent(name)])
			for (const [method, more, body] of [["DELETE", ""], ["GET", "/participants"], ["DELETE", "/participants/grace"], ["POST", "/participants/grace/mute", {}],
				["POST", "/recording", {}], ["DELETE", "/recording"]])
				assertProblem(await eve.call(method, `/api/livekit/room/${said}${more}`, body), 404, undefined, `${method} ${more}`);
		assertProblem(await eve.delete("/api/livekit/rooms/secret-room"), 404);
		const sent = await eve.post("/api/livekit/room/secret-room/dispatch", { agentId: (await ada.agent())._id });
		assertProblem(sent, 404, /no such agent/i);
		assert.deepEqual([...livekit.rooms.keys()], [name]);
		assert.equal(livekit.rooms.get(name).participants.size, 1);
		assert.ok(!JSON.stringify(await ada.ok("GET", "/api/livekit/rooms")).includes(name.slice(0, 23)), "answers have no namespace");
	});

	test("thousands of others' rooms on the same LiveKit are no hindrance", async () => {
		for (let i = 0; i < 3000; i++)
			livekit.open(`${"A".repeat(22)}_${i}`, "m".repeat(100));
		await create(ada, "mine");
		assert.deepEqual((await ada.ok("GET", "/api/livekit/rooms")).map((r) => r.name), ["mine"]);
	});
});

describe("participants", () => {
	test("are listed, muted and removed", async () => {
		await create(ada, "call");
		const { name } = livekit.room("call").info;
		const grace = livekit.join(name, "Grace H.", { tracks: ["AUDIO", "VIDEO", "AUDIO"] });
		const [seen] = await ada.ok("GET", "/api/livekit/room/call/participants");
		assert.deepEqual([seen.identity, seen.name, seen.state, seen.kind, seen.isPublisher], ["Grace H.", "Name of Grace H.", "ACTIVE", "STANDARD", true]);
		assert.match(seen.joinedAt, ISO);
		assert.deepEqual(seen.tracks.map((t) => [t.type, t.source, t.muted]), [["AUDIO", "MICROPHONE", false], ["VIDEO", "CAMERA", false], ["AUDIO", "MICROPHONE", false]]);

		const at = "/api/livekit/room/call/participants/Grace%20H.";
		const muted = await ada.ok("POST", `${at}/mute`);
		assert.deepEqual(muted, { identity: "Grace H.", muted: true, tracks: [{ muted: true, sid: grace.tracks[0].sid }, { muted: true, sid: grace.tracks[2].sid }] });
		assert.deepEqual(grace.tracks.map((t) => t.muted), [true, false, true]);
		await ada.ok("POST", `${at}/mute`, { trackSid: grace.tracks[1].sid });
		assert.equal(grace.tracks[1].muted, true);

		const refused = await ada.post(`${at}/mute`, { trackSid: grace.tracks[1].sid, muted: false });
		assertProblem(refused, 409, "LiveKit: remote unmute not enabled in call");
		assert.ok(!("muted" in last("RoomService/MutePublishedTrack").sent), "false is left out");
		livekit.remoteUnmute = true;
		await ada.ok("POST", `${at}/mute`, { muted: false });
		assert.equal(grace.tracks[0].muted, false);

		for (const body of [{ muted: "yes" }, { trackSid: 7 }, { trackSid: "" }])
			assertProblem(await ada.post(`${at}/mute`, body), 400);
		assertProblem(await ada.post(`${at}/mute`, { trackSid: "TR_no" }), 404, /no such track/i);
		assertProblem(await ada.post("/api/livekit/room/call/participants/nobody/mute"), 404, /no such participant/i);
		assertProblem(await ada.delete("/api/livekit/room/call/participants/nobody"), 404, /no such participant/i);
		await ada.ok("DELETE", at);
		assert.deepEqual(await ada.ok("GET", "/api/livekit/room/call/participants"), []);
		assertProblem(await ada.get("/api/livekit/room/none/participants"), 404, /no such room/i);
	});
});

describe("recordings", () => {
	test("of one room that are started at once are one", async () => {
		await create(ada, "twice");
		const all = await Promise.all(Array.from({ length: 6 }, () => ada.post("/api/livekit/room/twice/recording")));
		assert.equal(livekit.named("Egress/StartRoomCompositeEgress").length, 1);
		assert.equal(all.filter((res) => res.status === 201).length, 1);
		for (const res of all.filter((r) => r.status === 409))
			assertProblem(res, 409, /being started/);
		const [id, ...others] = new Set(all.filter((r) => r.status !== 409).map((r) => r.json.egressId));
		assert.ok(id && others.length === 0, all.map((r) => r.text).join());
		await ada.ok("DELETE", "/api/livekit/room/twice/recording");
		await ada.ok("POST", "/api/livekit/room/twice/recording", undefined, 201);
	});

	test("of which LiveKit says what cannot be true are 502", async () => {
		await create(ada, "lies");
		const room = [...livekit.rooms.keys()].at(-1), egress_id = "E".repeat(500_000);
		const rooms = { text: JSON.stringify({ rooms: [{ name: room }] }) };
		const items = { text: JSON.stringify({ items: [{ egress_id, room_name: room, status: "EGRESS_ACTIVE" }] }) };
		livekit.next(rooms, items);
		assertProblem(await ada.post("/api/livekit/room/lies/recording"), 502);
		livekit.next(rooms, { text: "{}" }, { text: JSON.stringify({ egress_id, status: "x".repeat(9_000_000) }) });
		assertProblem(await ada.post("/api/livekit/room/lies/recording"), 502);
		livekit.next(items);
		assertProblem(await ada.delete("/api/livekit/room/lies/recording"), 502);
	});

	test("are started once and stopped", async () => {
		await create(ada, "call");
		assertProblem(await ada.delete("/api/livekit/room/call/recording"), 404, /not being recorded/);
		const begun = await ada.ok("POST", "/api/livekit/room/call/recording", undefined, 201);
		assert.deepEqual([begun.roomName, begun.status], ["call", "EGRESS_STARTING"]);
		assert.match(begun.startedAt, ISO);
		const { sent } = last("Egress/StartRoomCompositeEgress");
		assert.equal(sent.audioOnly, true);
		assert.deepEqual(sent.fileOutputs, [sent.file]);
		assert.equal((await ada.ok("POST", "/api/livekit/room/call/recording", { audioOnly: false })).egressId, begun.egressId, "it is under way");
		const stopped = await ada.ok("DELETE", "/api/livekit/room/call/recording");
		assert.deepEqual(stopped.egressIds, [begun.egressId]);
		assertProblem(await ada.delete("/api/livekit/room/call/recording"), 404);
		await ada.ok("POST", "/api/livekit/room/call/recording", { audioOnly: false }, 201);
		assert.equal(last("Egress/StartRoomCompositeEgress").sent.file.fileType, "MP4");
		assertProblem(await ada.post("/api/livekit/room/call/recording", { audioOnly: 1 }), 400, /audioOnly/);
		assertProblem(await ada.post("/api/livekit/room/none/recording"), 404, /no such room/i);
	});
});

describe("voice workers", () => {
	test("are sent into a new room and into one that is there, and seen to arrive", async () => {
		const agent = await ada.agent();
		const { _id: conversationId } = await ada.conversation(agent._id);
		for (const room of ["new room", "old room"]) {
			if (room === "old room")
				await create(ada, room);
			const got = await ada.ok("POST", `/api/livekit/room/${encodeURIComponent(room)}/dispatch`, { agentId: agent._id, conversationId }, 201);
			assert.deepEqual({ ...got, dispatchId: 0 }, { dispatchId: 0, roomName: room, agentId: agent._id, conversationId, arrived: true });
			const [dispatch] = livekit.room(room).dispatches;
			assert.equal(dispatch.id, got.dispatchId);
			assert.equal(dispatch.agent_name, "helpline");
			assert.deepEqual(JSON.parse(dispatch.metadata), { agentId: agent._id, agent: agent.name, company: agent.companyName, conversationId, roomName: room });
			assert.ok(!livekit.room(room).info.metadata.includes(conversationId), "participants do not see the id, which is a key");
		}
		const again = await ada.ok("POST", "/api/livekit/room/old%20room/dispatch", { agentId: agent._id }, 201);
		assert.equal(again.conversationId, conversationId, "the room's conversation is known");
	});

	test("who does not come, cannot, or is lost on the way", async () => {
		const agentId = (await ada.agent())._id;
		const send = (body = { agentId }) => ada.post("/api/livekit/room/call/dispatch", body);
		livekit.worker = "fails";
		assertProblem(await send(), 502, /could not take the call/);
		livekit.worker = "joins";
		livekit.losesDispatches = 1;
		assert.equal((await send()).status, 201, "the second try arrives");
		livekit.losesDispatches = 2;
		assertProblem(await send(), 502, /does not know/);
		livekit.losesDispatches = 0;
		livekit.worker = "waits";
		const waiting = await send();
		assert.equal(waiting.status, 202);
		assert.equal(waiting.json.arrived, false);
		for (const body of [{}, { agentId: 1 }, { agentId: null }, { agentId, conversationId: [] }])
			assertProblem(await send(body), 400);
		assertProblem(await send({ agentId: "x".repeat(22) }), 404, /no such agent/i);
		assertProblem(await send({ agentId, conversationId: (await eve.conversation())._id }), 404, /no such conversation/i);
	});
});

describe("a LiveKit that fails", () => {
	test("is told of by its code", async () => {
		const table = { not_found: 404, invalid_argument: 400, malformed: 400, out_of_range: 400, unauthenticated: 502, permission_denied: 502, bad_route: 502,
			canceled: 504, deadline_exceeded: 504, resource_exhausted: 429, failed_precondition: 409, aborted: 409, already_exists: 409, unimplemented: 502,
			unavailable: 503, internal: 502, unknown: 502, dataloss: 502, some_new_code: 502 };
		for (const [code, status] of Object.entries(table)) {
			livekit.next({ code, msg: "what it says" });
			assertProblem(await ada.post("/api/livekit/create-room", guest("r")), status, undefined, code);
		}
	});

	test("with what is no answer of LiveKit's", async () => {
		const steps = [[{ status: 502, type: "text/html", text: "<h1>Bad gateway</h1>" }, 502], [{ text: "<h1>Welcome</h1>", type: "text/html" }, 502],
			[{ text: "[]" }, 502], [{ text: "" }, 502], [{ text: '{"name":' }, 502], [{ status: 401, type: "text/plain", text: "invalid token" }, 502],
			[{ status: 302, headers: { location: `${livekit.url.replace("ws", "http")}/twirp/livekit.RoomService/CreateRoom` }, text: "" }, 502],
			[{ status: 503, type: "text/plain", text: "busy" }, 503], [{ status: 404, text: '{"code":7,"msg":[]}' }, 502],
			[{ text: `{"rooms":"${"x".repeat(9 << 20)}"}` }, 502]];
		for (const [step, status] of steps) {
			livekit.next(step);
			assertProblem(await ada.get("/api/livekit/rooms"), status, undefined, JSON.stringify(step).slice(0, 100));
		}
		livekit.next(...Array(16).fill({ cut: true }));		// each kept connection that has been closed is tried anew
		assertProblem(await ada.get("/api/livekit/rooms"), 502, undefined, "cut off");
		livekit.steps.length = 0;
		livekit.next({ status: 401, type: "text/plain", text: "invalid token" });
		assertProblem(await ada.get("/api/livekit/rooms"), 502, /LIVEKIT_API_KEY and LIVEKIT_API_SECRET/);
		// Members that are not what they should be are as if they were not there.
		livekit.next({ text: '{"rooms":[7,null,{"name":{}},{"name":"x"}]}' });
		assert.deepEqual(await ada.ok("GET", "/api/livekit/rooms"), []);
	});
});

describe("webhooks", () => {
	// A conversation with a room that is its call.
	async function call(name = unique("call")) {
		const conversation = await ada.conversation((await ada.agent())._id);
		await create(ada, name, { conversationId: conversation._id });
		return { id: conversation._id, name, room: livekit.room(name) };
	}
	const at = (event, time) => ({ ...event, createdAt: String(time) });
	const person = (identity, more = {}) => ({ participant: { sid: "PA_1", identity, name: "Grace", ...more } });

	// A call of 42 seconds, with what surrounds it.
	function story({ room }, begin) {
		return [at(livekit.event("room_started", room), begin - 10), at(livekit.event("participant_joined", room, person("agent-1", { kind: "AGENT" })), begin - 5),
			at(livekit.event("participant_joined", room, person("grace")), begin), at(livekit.event("track_published", room, { ...person("grace"), track: { sid: "TR_1" } }), begin + 1),
			at(livekit.event("participant_left", room, person("grace")), begin + 42), at(livekit.event("room_finished", room), begin + 62)];
	}

	test("make a call's duration and end part of its conversation and of the statistics, whatever their order and number", async () => {
		const before = await ada.statistics();
		let total = before.averageDuration * before.totalCalls;
		for (const order of [(x) => x, (x) => [...x].reverse(), (x) => [...x, ...x], (x) => [x[5], x[2], x[0], x[2], x[4], x[3], x[5], x[1]]]) {
			const { id, name, room } = await call();
			const events = story({ room }, seconds(-100));
			for (const event of order(events))
				assert.equal((await livekit.webhook(stack, event)).status, 200);
			const c = await ada.read(id);
			assert.equal(c.metadata.duration, 42);
			assert.equal(c.status, "completed");
			assert.notEqual(c.metadata.sentiment, "pending");
			assert.equal(c.title.split(" ").length, 4);
			const kept = await ada.ok("GET", `/api/conversations/${id}/events`);
			assert.deepEqual(kept.map((e) => e._id), events.map((e) => e.id), "each once, by time");
			assert.deepEqual(kept.map((e) => e.event), events.map((e) => e.event));
			assert.ok(kept.every((e) => e.roomName === name && ISO.test(e.timestamp)));
			assert.equal(kept[2].participantIdentity, "grace");
			total += 42;
			assertProblem(await eve.get(`/api/conversations/${id}/events`), 404);
		}
		const stats = await ada.statistics();
		assert.equal(stats.totalCalls, before.totalCalls + 4);
		// Conversations in which nobody wrote or called have no duration.
		const timed = (await ada.list()).filter((c) => c.metadata.duration > 0);
		assert.equal(timed.reduce((sum, c) => sum + c.metadata.duration, 0), total);
		assert.equal(stats.averageDuration, total / timed.length);
	});

	test("of a deleted conversation, and the deletion, leave nothing in the statistics", async () => {
		const before = await ada.statistics();
		const { id, room } = await call();
		const events = story({ room }, seconds(-100));
		for (const event of events.slice(0, 4))
			assert.equal((await livekit.webhook(stack, event)).status, 200);
		await ada.ok("DELETE", `/api/conversations/${id}`);
		for (const event of events)
			assert.equal((await livekit.webhook(stack, event)).status, 200);
		const stats = await ada.statistics();
		assert.deepEqual(stats, before);
		const redis = await stack.redis();
		for (const key of await redis.call("KEYS", "*:calls"))
			assert.equal(await redis.call("EXISTS", String(key).replace(/:calls$/, "")), 1, "no events without their conversation");
	});

	test("of another call in the same conversation open it again", async () => {
		const { id, room } = await call();
		for (const event of story({ room }, seconds(-200)))
			await livekit.webhook(stack, event);
		assert.equal((await ada.read(id)).status, "completed");
		const second = unique("again");
		await ada.ok("POST", "/api/livekit/join-room", guest(second, { conversationId: id }));
		await livekit.webhook(stack, at(livekit.event("participant_joined", livekit.room(second), person("grace")), seconds(-10)));
		const c = await ada.read(id);
		assert.equal(c.status, "active");
		assert.equal(c.metadata.duration, 190);
	});

	test("find the conversation of a room that was there before, of one that others made, and of a recording", async () => {
		const conversation = await ada.conversation();
		const name = unique("walk-in");
		await create(ada, name);
		const room = livekit.room(name);
		await ada.ok("POST", "/api/livekit/join-room", guest(name, { conversationId: conversation._id }));
		await livekit.webhook(stack, { event: "egress_ended", id: unique("EV"), createdAt: String(seconds(-5)),
			egressInfo: { egressId: "EG_1", roomId: room.info.sid, roomName: room.info.name, status: "EGRESS_COMPLETE" } });
		const foreign = livekit.open(`${room.info.name.slice(0, 23)}worker-made`, JSON.stringify({ conversationId: conversation._id }));
		await livekit.webhook(stack, livekit.event("participant_joined", foreign, person("grace")));
		const kept = await ada.ok("GET", `/api/conversations/${conversation._id}/events`);
		assert.deepEqual(kept.map((e) => [e.event, e.roomName]), [["egress_ended", name], ["participant_joined", "worker-made"]]);
		assert.equal(kept[0].egressId, "EG_1");
	});

	test("of a room in another account's name say nothing of the conversation that it claims", async () => {
		const conversation = await ada.conversation();
		await create(eve, "hers");
		const claiming = livekit.open(`${livekit.room("hers").info.name}2`, JSON.stringify({ conversationId: conversation._id }));
		assert.equal((await livekit.webhook(stack, livekit.event("room_finished", claiming))).status, 200);
		assert.deepEqual(await ada.ok("GET", `/api/conversations/${conversation._id}/events`), []);
		assert.equal((await ada.read(conversation._id)).status, "active");
	});

	test("that LiveKit did not sign, or not this body, or not now, are refused before they are read", async () => {
		const { id, room } = await call();
		const event = livekit.event("room_finished", room);
		const body = JSON.stringify(event);
		const good = await livekit.sign(body);
		const sent = (authorization, text = body) => stack.call("POST", "/api/livekit/webhook", { body: text,
			headers: { "content-type": "application/webhook+json", ...(authorization !== undefined && { authorization }) } });
		for (const [what, res] of Object.entries({
			"no signature": sent(), "an empty one": sent(""), "a Bearer": sent(`Bearer ${good}`), "another body": sent(good, `${body} `), "no body": sent(good, ""),
			"no JSON, wrong hash": sent(good, "{"), "another secret": livekit.webhook(stack, event, { secret: "x".repeat(40) }),
			"another key": livekit.webhook(stack, event, { key: "APIother" }), "a hash in hex": livekit.webhook(stack, event, { hash: "ab".repeat(32) }),
			"no hash": livekit.webhook(stack, event, { hash: "" }), "an account's token": sent(ada.token), "over": livekit.webhook(stack, event, { ttl: -120 }),
			"a participant's token": sent((await ada.ok("POST", "/api/livekit/token", guest("r"))).token),
			"algorithm none": sent(`${Buffer.from('{"alg":"none"}').toString("base64url")}.${good.split(".")[1]}.`),
		}))
			assertProblem(await res, 401, undefined, what);
		assert.deepEqual(await ada.ok("GET", `/api/conversations/${id}/events`), []);
		assert.equal((await livekit.webhook(stack, event)).status, 200);
	});

	test("that are signed but odd are refused or ignored, and do no harm", async () => {
		const { id, room } = await call();
		for (const body of ["[]", "7", "{", "", "null", '{"event":7}', "{}", '{"event":"\\ud800"}', JSON.stringify({ event: "x".repeat(65) }),
			JSON.stringify({ event: "room_started", id: "x".repeat(513) }), JSON.stringify(livekit.event("room_finished", { info: { ...room.info, name: "x".repeat(600) } }))])
			assertProblem(await livekit.webhook(stack, body), 400, undefined, body.slice(0, 60));
		for (const event of [{ event: "something_new" }, { event: "room_started", room: 7 }, { event: "room_started", room: { name: [], sid: {} } },
			{ event: "participant_joined", room: { name: "short", sid: "RM_1" }, participant: "me" }, { event: "ingress_started", ingressInfo: {} }])
			assert.equal((await livekit.webhook(stack, event)).status, 200, JSON.stringify(event));
		assert.deepEqual(await ada.ok("GET", `/api/conversations/${id}/events`), []);
		// Field names of proto files, numbers as numbers, and no id.
		const old = { event: "participant_joined", room: { ...room.info }, participant: { sid: "PA_1", identity: "grace", joined_at: 1 }, created_at: seconds(-7) };
		for (let i = 0; i < 2; i++)
			assert.equal((await livekit.webhook(stack, old)).status, 200);
		assert.equal((await ada.ok("GET", `/api/conversations/${id}/events`)).length, 1);
		assertProblem(await livekit.webhook(stack, JSON.stringify({ event: "x", more: "y".repeat(300_000) })), 413);
	});

	test("more of them than a conversation keeps still make its duration", async () => {
		const { id, room } = await call();
		const begin = seconds(-2000);
		for (let i = 0; i < 520; i += 20)
			await Promise.all(Array.from({ length: 20 }, (_, k) => livekit.webhook(stack, at(livekit.event("track_published", room), begin + 1 + i + k))));
		await livekit.webhook(stack, at(livekit.event("room_finished", room), begin + 1000));
		assert.equal((await ada.read(id)).metadata.duration, 999);
		const kept = await ada.ok("GET", `/api/conversations/${id}/events`);
		assert.ok(kept.length > 480 && kept.length <= 512, `${kept.length} are kept`);
	});
});

describe("without LiveKit", () => {
	test("its routes say which settings are missing, and all else works", async () => {
		const bare = await startStack({ env: { ...DESK_ENV, LIVEKIT_API_KEY: KEY, LIVEKIT_API_SECRET: "", LIVEKIT_URL: "", LIVEKIT_WS_URL: "" } });
		try {
			const grace = await Person.join(bare, "Grace Hopper");
			for (const [method, target, body] of [["POST", "token", guest("r")], ["POST", "join-room", guest("r")], ["POST", "room", guest("r")], ["POST", "create-room", guest("r")],
				["POST", "create-test-room"], ["GET", "rooms"], ["DELETE", "room/r"], ["DELETE", "rooms/r"], ["POST", "room/r/recording"], ["DELETE", "room/r/recording"],
				["POST", "room/r/dispatch", { agentId: "x" }], ["GET", "room/r/participants"], ["DELETE", "room/r/participants/p"], ["POST", "room/r/participants/p/mute"],
				["POST", "webhook", {}]]) {
				const res = await grace.call(method, `/api/livekit/${target}`, body);
				assertProblem(res, 503, "LiveKit is not set up here: LIVEKIT_API_SECRET and LIVEKIT_URL are not set", target);
				assert.equal(res.json.code, "not_set_up");
			}
			assertProblem(await bare.get("/api/livekit/rooms"), 401);
			const c = await grace.conversation();
			assert.deepEqual(await grace.ok("GET", `/api/conversations/${c._id}/events`), []);
		} finally {
			await bare.stop();
		}
	});

	test("the old name of the address is understood", async () => {
		const other = await startStack({ env: { ...DESK_ENV, ...livekit.env, LIVEKIT_URL: "", LIVEKIT_WS_URL: livekit.url } });
		try {
			const grace = await Person.join(other, "Grace Hopper");
			assert.equal((await grace.ok("POST", "/api/livekit/create-room", guest("r"), 201)).wsUrl, livekit.url);
		} finally {
			await other.stop();
		}
	});
});
