/*
 * aliases_test - which company a text names: folding, whole words, the longest, hostile input, thousands in microseconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/aliases.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))
#define NOBODY		SIZE_MAX

static struct aliases *
make(const char *const *texts, size_t count)
{
	struct alias list[64];
	struct aliases *a;

	for (size_t i = 0; i < count; i++)
		list[i] = (struct alias){ texts[i], strlen(texts[i]), i };
	assert_int_equal(aliases_new(list, count, &a), HL_OK);
	return a;
}

static size_t
find(const struct aliases *a, const char *text)
{
	size_t index = 0;

	return aliases_find(a, text, strlen(text), &index) ? index : NOBODY;
}

static void
check(const struct aliases *a, const char *text, size_t expected)
{
	size_t found = find(a, text);

	if (found != expected)
		fail_msg("\"%s\" names %zu, not %zu", text, found, expected);
}

enum { ACME, ACME_TOOLS, STRASSE, SISYPHOS, AERZTE, CPP, ATT, BLUE_SKY, SAMSUNG, CAFE, DOMINOS, MOSKVA, ONE, HIDES, ARMENIA };

static const char *const names[] = {
	"Acme", "ACME Garden Tools", "Straßenbau Groß", "Σίσυφος", "Die Ärzte", "C++", "AT&T", "青空株式会社", "삼성", "Café Noir",
	"Domino's", "Моско́вский край", "1&1", "ᾍδης", "Արեւ",
};

static void
folded_whole_words_the_longest(void **state)
{
	static const struct { const char *text; size_t index; } cases[] = {
		{ "my acme order", ACME }, { "ACME!", ACME }, { "Acme's hours?", ACME }, { "(acme)", ACME }, { "ａｃｍｅ please", ACME },
		{ "the acmeist movement", NOBODY }, { "pacme", NOBODY }, { "acme2", NOBODY }, { "ac me", NOBODY }, { "", NOBODY },
		{ "acme garden tools", ACME_TOOLS }, { "Acme  GARDEN-tools, please", ACME_TOOLS }, { "acme garden", ACME },
		{ "acme garden toolsmith", ACME }, { "acme acme garden tools", ACME_TOOLS }, { "garden tools", NOBODY },
		{ "is it STRASSENBAU GROSS?", STRASSE }, { "STRAẞENBAU GROẞ", STRASSE }, { "strassenbau groß", STRASSE },
		{ "ΣΊΣΥΦΟΣ", SISYPHOS }, { "ΣΙΣΥΦΟΣ", SISYPHOS }, { "σισυφος", SISYPHOS },
		{ "DIE ÄRZTE", AERZTE }, { "die a\xcc\x88rzte", AERZTE },
		{ "I use c++ daily", CPP }, { "plan c", NOBODY }, { "C+", NOBODY },
		{ "at&t", ATT }, { "AT & T", ATT }, { "at t", NOBODY },
		{ "これは青空株式会社の商品ですか", BLUE_SKY }, { "青空 株式会社", BLUE_SKY }, { "青空", NOBODY },
		{ "삼성에서 왔어요", SAMSUNG }, { "cafe noir", CAFE }, { "CAFE\xcc\x81 NOIR", CAFE },
		{ "domino’s", DOMINOS }, { "DOMINO'S pizza", DOMINOS }, { "domino", NOBODY },
		{ "московскии краи", MOSKVA }, { "МОСКОВСКИЙ КРАЙ", MOSKVA }, { "1&1", ONE }, { "1 1", NOBODY },
		{ "사\u11b7서\u11bc에서", SAMSUNG }, { "\u1109\u1161\u11b7\u1109\u1165\u11bc에서", SAMSUNG }, { "ΑΙΔΗΣ", HIDES }, { "ᾅδης", HIDES },
		{ "α\u0314\u0301\u0345δης", HIDES }, { "αδης", NOBODY }, { "Ար\u0587", ARMENIA }, { "ԱՐԵՒ", ARMENIA },
		{ "\xff\xfe acme \x80", ACME }, { "ac\xc2\xadme", ACME }, { "\xcc\x81\xcc\x81\xcc\x81", NOBODY },
	};
	struct aliases *a = make(names, COUNT(names));

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(a, cases[i].text, cases[i].index);
	aliases_free(a);
}

static void
a_longer_one_that_fails_does_not_hide_a_shorter_one(void **state)
{
	static const char *const texts[] = { "a b c d", "b c", "c", "x y", "y z w" };
	struct aliases *a = make(texts, COUNT(texts));

	(void)state;
	check(a, "a b c d", 0);
	check(a, "a b c e", 1);
	check(a, "a c", 2);
	check(a, "a b b c", 1);
	check(a, "x y z", 3);
	check(a, "x y z w", 4);
	check(a, "a b d", NOBODY);
	aliases_free(a);
}

static void
the_first_of_equals_counts(void **state)
{
	static const char *const texts[] = { "Blue", "BLUE", "", "!!!", "\xcc\x81", "Pink" };
	struct aliases *a = make(texts, COUNT(texts));

	(void)state;
	check(a, "blue", 0);
	check(a, "pink and blue", 5);
	check(a, "blue and pink", 0);
	check(a, "!!!", NOBODY);
	assert_true(alias_usable("7", 1));
	assert_false(alias_usable("!!!", 3));
	assert_false(alias_usable("", 0));
	assert_false(alias_usable("\xcc\x81", 2));
	aliases_free(a);
	a = make(texts, 0);
	check(a, "blue", NOBODY);
	check(NULL, "blue", NOBODY);
	aliases_free(a);
	aliases_free(NULL);
}

/* What the automaton finds is what looking at every place for every alias finds. */
static void
as_a_plain_search_would(void **state)
{
	char texts[40][16], text[128];
	const char *list[40];
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct aliases *a;
		size_t best = 0, expected = NOBODY, at = NOBODY;

		for (unsigned i = 0; i < 40; i++) {
			unsigned n = 1 + (unsigned)rand_r(&seed) % 5;

			for (unsigned j = 0; j < n; j++)
				memcpy(texts[i] + 2 * j, (rand_r(&seed) & 3) ? " a" : " b", 3);
			list[i] = texts[i];
		}
		for (unsigned j = 0; j < 40; j++)
			memcpy(text + 2 * j, (rand_r(&seed) & 3) ? " a" : " b", 3);
		a = make(list, 40);
		for (size_t i = 0; i < 40; i++) {
			const char *p = strstr(text, texts[i]);
			size_t n = strlen(texts[i]), end = p ? (size_t)(p - text) + n : 0;

			if (p && (n > best || (n == best && end < at))) {
				best = n;
				at = end;
				expected = i;
			}
		}
		check(a, text, expected);
		aliases_free(a);
	}
}

/* ---- how long it takes ---- */

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Microseconds of processor time for a find; the least of several tries, for a loaded machine has bad moments. */
static double
time_find(const struct aliases *a, const char *text, size_t len)
{
	double best = 1e9;
	size_t index;

	for (unsigned i = 0; i < 20; i++) {
		double start = cpu_us();

		for (unsigned j = 0; j < 10; j++)
			(void)aliases_find(a, text, len, &index);
		if ((cpu_us() - start) / 10 < best)
			best = (cpu_us() - start) / 10;
	}
	return best;
}

static struct aliases *
many(size_t count, char (*texts)[48], struct alias *list)
{
	struct aliases *a;

	for (size_t i = 0; i < count; i++) {
		int n = snprintf(texts[i], sizeof(texts[i]), "company %zx of group %zu", i * 2654435761u, i % 97);

		list[i] = (struct alias){ texts[i], (size_t)n, i };
	}
	assert_int_equal(aliases_new(list, count, &a), HL_OK);
	return a;
}

static void
thousands_cost_no_more_than_a_few(void **state)
{
	static char texts[20000][48];
	static struct alias list[20000];
	char text[256];
	struct aliases *few = many(20, texts, list), *all;
	double a, b;

	(void)state;
	all = many(COUNT(texts), texts, list);
	snprintf(text, sizeof(text), "Hello, I bought a blue teapot from the shop of %s last week and would like to return it, "
	    "is that possible at all?", texts[19]);
	check(all, text, 19);
	check(few, text, 19);
	a = time_find(few, text, strlen(text));
	b = time_find(all, text, strlen(text));
	print_message("20 aliases: %.1f us, 20000: %.1f us for %zu bytes\n", a, b, strlen(text));
	assert_true(b < a * 8 + 50);
	aliases_free(few);
	aliases_free(all);
}

/* "a a a … b" against "a a a …": what would be quadratic with one look for each place is linear. */
static void
hostile_texts_are_read_once(void **state)
{
	enum { WORDS = 50000 };
	static char alias[2 * 2000 + 2], text[2 * WORDS];
	struct alias list[2];
	struct aliases *a;
	double half, whole;

	(void)state;
	for (size_t i = 0; i < sizeof(alias) - 2; i += 2)
		memcpy(alias + i, "a ", 2);
	alias[sizeof(alias) - 2] = 'b';
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "a ", 2);
	list[0] = (struct alias){ alias, sizeof(alias) - 1, 0 };
	list[1] = (struct alias){ alias, sizeof(alias) - 2, 1 };
	assert_int_equal(aliases_new(list, 2, &a), HL_OK);
	half = time_find(a, text, sizeof(text) / 2);
	whole = time_find(a, text, sizeof(text));
	print_message("%d words: %.0f us, half of them: %.0f us\n", WORDS, whole, half);
	assert_true(whole < half * 4 + 1000);
	aliases_free(a);
}

static void
of_agents(void **state)
{
	static const char text[] = "{\"a\":[\"Teapots\",\"Green House\"],\"b\":[\"Red House\",\"Lamps\"]}";
	struct json *doc;
	struct agent list[] = {
		{ .company = "Lamps", .temperature = -1 }, { .company = "Lantern & Leaf", .temperature = -1 },
		{ .company = "Gone", .temperature = -1, .inactive = true }, { .company = "Private", .temperature = -1, .no_public_start = true },
	};
	struct agents agents = { list, COUNT(list) };
	struct aliases *a;

	(void)state;
	assert_int_equal(json_parse(text, sizeof(text) - 1, &doc), HL_OK);
	list[0].aliases = json_get(doc, "a");
	list[1].aliases = json_get(doc, "b");
	assert_int_equal(aliases_of_agents(&agents, false, &a), HL_OK);
	check(a, "the lamps", 1);
	check(a, "private", NOBODY);
	aliases_free(a);
	assert_int_equal(aliases_of_agents(&agents, true, &a), HL_OK);
	check(a, "private", 3);
	check(a, "about my green house", 0);
	check(a, "lantern & leaf", 1);
	check(a, "the lamps", 1);		/* an alias before a name */
	check(a, "gone", NOBODY);
	aliases_free(a);
	json_free(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folded_whole_words_the_longest),
		cmocka_unit_test(a_longer_one_that_fails_does_not_hide_a_shorter_one),
		cmocka_unit_test(the_first_of_equals_counts),
		cmocka_unit_test(as_a_plain_search_would),
		cmocka_unit_test(thousands_cost_no_more_than_a_few),
		cmocka_unit_test(hostile_texts_are_read_once),
		cmocka_unit_test(of_agents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
