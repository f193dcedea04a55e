/*
 * fold_test - the same words are the same, however they were written and composed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fold.h"
#include "base/str.h"

static void
as_people_look_for_it(void **state)
{
	static const struct { const char *text, *folded; } known[] = {
		{ "Hello, World 12!", "hello, world 12!" },
		{ "Straße STRASSE \u1e9e", "strasse strasse ss" },
		{ "Café Cafe\u0301 CAFÉ", "cafe cafe cafe" },
		{ "İstanbul i\u0307stanbul", "istanbul istanbul" },
		{ "Ａｂｃ\u00ad \ufb01sh e\ufb03cient", "abc fish efficient" },
		{ "Việt Vie\u0323\u0302t ẞ Ÿ Łódź", "viet viet ss y lodz" },
		{ "Ελλάδα й ё Ї", "ελλαδα и е і" },
		{ "\u200czero\u200bwidth\u200d", "zero\u200bwidth" },
		{ "× ÷ ſ", "× ÷ s" },
		{ "日本語 バグ ハ\u3099ク\u3099 パ ハ\u309a ヴ ウ\u3099", "日本語 バグ バグ パ パ ヴ ヴ" },
		{ "được đu\u031bo\u031b\u0323c Greșită nǐ hǎo", "duoc duoc gresita ni hao" },
		{ "ἀρχή ѝ Ӂ", "αρχη и ж" },
		{ "ᾳ ᾼ α\u0345 ῷ ΩΙ Ὧ ῃ ῌ ᾗ", "αι αι αι ωι ωι ω ηι ηι ηι" },
		{ "\u0587 ԵՒ \ufb13 ՄՆ \ufb17 \u0149 \u1e9a", "եւ եւ մն մն մխ \u02bcn a\u02be" },
		{ "\u1112\u1161\u11ab\u1100\u116e\u11a8", "\u1112\u1161\u11ab\u1100\u116e\u11a8" },
		{ "하\u11ab 각 가\u11a8", "\u1112\u1161\u11ab \u1100\u1161\u11a8 \u1100\u1161\u11a8" },
		{ "ワ\u3099ヰ\u3099ヱ\u3099ヲ\u3099 か\u3099 つ\u3099 ひ\u309a ゝ\u3099", "ヷヸヹヺ が づ ぴ ゞ" },
		{ "ン\u3099 か\u309a", "ン\u3099 か\u309a" },
		{ "한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct buf b = BUF_INIT(4096);

		fold_text(&b, known[i].text, strlen(known[i].text));
		assert_string_equal(b.data, known[i].folded);
		buf_free(&b);
	}
}

static void
every_letter_folds_to_what_stays(void **state)
{
	uint32_t once[FOLD_MAX], twice[FOLD_MAX];

	(void)state;
	for (uint32_t c = 0; c < 0x20000; c++) {
		size_t n = fold_letter(c, once);

		assert_true(n <= FOLD_MAX);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(fold_letter(once[i], twice), 1);
			if (twice[0] != once[i])
				fail_msg("U+%04X folds to U+%04X, and that to U+%04X", c, once[i], twice[0]);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_people_look_for_it),
		cmocka_unit_test(every_letter_folds_to_what_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
