/*
 * Tokens of LiveKit have the claims that its own SDK writes, webhooks are judged as it judges them (tests/vectors/livekit.json),
 * and what is no name is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/livekit.h"
#include "services/jwt.h"
#include "base/json.h"

#define NOW	INT64_C(1750000000)

static struct json *vectors;

static int
load(void **state)
{
	FILE *file = fopen(SRCDIR "/tests/vectors/livekit.json", "re");
	struct buf text = BUF_INIT(1 << 20);
	char piece[4096];
	size_t n;

	while (file && (n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(&text, piece, n);
	if (file)
		fclose(file);
	n = text.len && json_parse(text.data, text.len, &vectors) == HL_OK;
	*state = vectors;
	buf_free(&text);
	return n ? 0 : -1;
}

static int
unload(void **state)
{
	(void)state;
	json_free(vectors);
	return 0;
}

static struct conf
settings(void)
{
	return (struct conf){ .livekit_key = json_get_string(vectors, "apiKey"), .livekit_secret = json_get_string(vectors, "apiSecret"),
		.livekit_url = "wss://calls.example.com/" };
}

static struct json *
open_token(const struct conf *c, const char *token)
{
	const struct token_rules rules = { .secrets = { c->livekit_secret }, .issuer = c->livekit_key, .now_s = NOW };
	struct json *claims;

	assert_int_equal(token_check(&rules, token, &claims), HL_OK);
	return claims;
}

/* The same members with the same values, in whatever order. */
static void
assert_same(const struct json *a, const struct json *b)
{
	struct json_iter it = { .object = a };
	struct buf x = BUF_INIT(65536), y = BUF_INIT(65536);
	const struct json *value;
	const char *key;
	size_t count[2] = { 0, 0 };

	assert_int_equal(json_kind(a), json_kind(b));
	if (json_kind(a) == JSON_OBJECT) {
		for (; json_next(&it, &key, &value); count[0]++)
			assert_same(value, json_get(b, key));
		for (it = (struct json_iter){ .object = b }; json_next(&it, &key, &value);)
			count[1]++;
		assert_int_equal(count[0], count[1]);
	} else {
		json_write(&x, a);
		json_write(&y, b);
		assert_string_equal(x.data, y.data);
	}
	buf_free(&x);
	buf_free(&y);
}

static void
same_claims(const struct livekit_grant *g, int64_t life_s, const struct json *expected)
{
	struct buf token = BUF_INIT(TOKEN_MAX);
	const struct conf c = settings();
	struct json *claims;

	assert_int_equal(livekit_token(&c, g, NOW, life_s, &token), HL_OK);
	claims = open_token(&c, token.data);
	assert_same(claims, expected);
	json_free(claims);
	buf_free(&token);
}

static const struct json *
claims_of(size_t index)
{
	return json_get(json_at(json_get(vectors, "tokens"), index), "claims");
}

static void
tokens_have_the_claims_of_the_sdk(void **state)
{
	const struct livekit_grant admin = { .admin = true, .room = "room-1" };
	const struct livekit_grant join = { .join = true, .room = "room-1", .identity = "user-2" };
	struct buf all = BUF_INIT(1024);
	struct json *expected;

	(void)state;
	same_claims(&admin, 600, claims_of(2));
	/* What the SDK leaves out because it is the default, ours says. */
	buf_puts(&all, "{\"video\":{\"roomJoin\":true,\"room\":\"room-1\",\"canPublish\":true,\"canSubscribe\":true,"
	    "\"canPublishData\":true},\"iss\":\"APIfixedTestKey\",\"exp\":1750021600,\"nbf\":1750000000,\"sub\":\"user-2\"}");
	assert_int_equal(json_parse(all.data, all.len, &expected), HL_OK);
	same_claims(&join, 21600, expected);
	json_free(expected);
	buf_free(&all);
}

/* The grants of the calls that we make, by the SDK's. */
static void
calls_have_the_grants_of_the_sdk(void **state)
{
	const struct { const char *path; struct livekit_grant grant; } calls[] = {
		{ "RoomService/CreateRoom", { .create = true } }, { "RoomService/ListRooms", { .list = true } },
		{ "RoomService/DeleteRoom", { .create = true } },
		{ "RoomService/ListParticipants", { .admin = true, .room = "room-1" } },
		{ "RoomService/MutePublishedTrack", { .admin = true, .room = "room-1" } },
		{ "Egress/StartRoomCompositeEgress", { .record = true } }, { "Egress/StopEgress", { .record = true } },
		{ "AgentDispatchService/CreateDispatch", { .admin = true, .room = "room-1" } },
	};
	const struct json *list = json_get(vectors, "serverApiCallsSentBySdk");
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (size_t k = 0; k < json_length(list); k++)
			if (strstr(json_get_string(json_at(list, k), "path"), calls[i].path)) {
				same_claims(&calls[i].grant, LIVEKIT_CALL_LIFE_S, json_get(json_at(list, k), "grantClaims"));
				found++;
			}
	assert_true(found >= sizeof(calls) / sizeof(calls[0]));
}

static void
webhooks_are_judged_as_the_sdk_judges_them(void **state)
{
	const struct json *list = json_get(vectors, "webhook");
	const struct conf c = settings();

	(void)state;
	assert_true(json_length(list) >= 6);
	for (size_t i = 0; i < json_length(list); i++) {
		const struct json *v = json_at(list, i);
		const char *body = json_get_string(v, "body"), *header = json_get_string(json_get(v, "headers"), "authorization");
		bool ok = json_true(json_get(json_get(v, "sdk"), "ok"));

		if ((livekit_webhook_check(&c, header, body, strlen(body), NOW) == HL_OK) != ok)
			fail_msg("%s", json_get_string(v, "name"));
		assert_int_equal(livekit_webhook_check(&c, header, body, strlen(body), NOW + 300 + LIVEKIT_LEEWAY_S), HL_UNAUTHORIZED);
		assert_int_equal(livekit_webhook_check(&c, header, body, strlen(body), NOW - LIVEKIT_LEEWAY_S - 1), HL_UNAUTHORIZED);
	}
	assert_int_equal(livekit_webhook_check(&c, NULL, "{}", 2, NOW), HL_UNAUTHORIZED);
}

static void
names_are_text_that_stands_in_a_path(void **state)
{
	static const char *const good[] = { "a", "front desk", "Büro ☎", "...", "a.b", ".a", "%2f", "?" };
	static const char *const bad[] = { "", " ", ".", "..", "a/b", "/", "a\\b", "a\nb", "\x7f", "\xff", "\xed\xa0\x80" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(livekit_name_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(livekit_name_valid(bad[i], strlen(bad[i])));
	assert_false(livekit_name_valid("a\0b", 3));
}

static void
members_are_found_in_both_spellings(void **state)
{
	static const char text[] = "{\"room_name\":\"a\",\"egressId\":\"b\",\"creation_time\":\"1750000000\",\"joinedAt\":7,\"bad\":\"7x\",\"f\":1.5}";
	struct json_view v;

	(void)state;
	assert_int_equal(json_view_open(text, sizeof(text) - 1, JSON_JS, &v), HL_OK);
	assert_true(json_view_is(livekit_get(v, "room_name"), "a"));
	assert_true(json_view_is(livekit_get(v, "egress_id"), "b"));
	assert_int_equal(livekit_number(v, "creation_time"), NOW);
	assert_int_equal(livekit_number(v, "joined_at"), 7);
	assert_int_equal(livekit_number(v, "bad"), 0);
	assert_int_equal(livekit_number(v, "f"), 0);
	assert_int_equal(livekit_number(v, "absent"), 0);
}

static void
the_address_is_of_the_settings(void **state)
{
	static const char *const urls[][2] = { { "wss://a.example/", "wss://a.example" }, { "https://a.example/x", "wss://a.example/x" },
		{ "ws://a.example:7880", "ws://a.example:7880" }, { "http://a.example", "ws://a.example" } };

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		const struct conf c = { .livekit_url = urls[i][0] };
		struct buf out = BUF_INIT(256);

		livekit_ws_url(&c, &out);
		assert_string_equal(out.data, urls[i][1]);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_have_the_claims_of_the_sdk),
		cmocka_unit_test(calls_have_the_grants_of_the_sdk),
		cmocka_unit_test(webhooks_are_judged_as_the_sdk_judges_them),
		cmocka_unit_test(names_are_text_that_stands_in_a_path),
		cmocka_unit_test(members_are_found_in_both_spellings),
		cmocka_unit_test(the_address_is_of_the_settings),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
