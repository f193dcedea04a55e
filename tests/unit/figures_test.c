/*
 * figures_test - what figures are made of: the histogram's error, days, cells of a table that no spreadsheet computes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/csv.h"
#include "base/histogram.h"

/* ---- histogram ---- */

static void
buckets_hold_their_values_within_the_error(void **state)
{
	unsigned last = 0;

	(void)state;
	for (int64_t v = 0; v < HISTOGRAM_MOST; v += 1 + v / 4096) {
		unsigned bucket = histogram_bucket(v);
		int64_t shown = histogram_value(bucket);

		assert_true(bucket == last || bucket == last + 1);
		assert_true(bucket < HISTOGRAM_BUCKETS);
		assert_int_equal(histogram_bucket(shown), bucket);
		if (llabs(shown - v) > (long long)(HISTOGRAM_ERROR * (double)v))
			fail_msg("%lld is shown as %lld", (long long)v, (long long)shown);
		if (v < 16)
			assert_int_equal(shown, v);
		last = bucket;
	}
	assert_int_equal(last, HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket(-5), 0);
	assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Of many sets of times, spread as answers' times are: from a few to millions of milliseconds. */
static void
percentiles_are_within_the_error_of_the_sorted_values(void **state)
{
	static const double parts[] = { 0, 0.01, 0.5, 0.9, 0.95, 0.99, 1 };
	static int64_t values[5000];

	(void)state;
	srand48(7);
	for (int round = 0; round < 200; round++) {
		size_t n = 1 + (size_t)(lrand48() % 5000);
		struct histogram h = { 0 };

		for (size_t i = 0; i < n; i++) {
			values[i] = (int64_t)exp(drand48() * (round % 18));
			h.counts[histogram_bucket(values[i])]++;
		}
		qsort(values, n, sizeof(*values), compare);
		assert_int_equal(histogram_total(&h), n);
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			size_t rank = (size_t)ceil(parts[i] * (double)n);
			int64_t exact = values[rank ? rank - 1 : 0], said = histogram_percentile(&h, parts[i]);

			if (llabs(said - exact) > (long long)(HISTOGRAM_ERROR * (double)exact))
				fail_msg("p%g of %zu values is %lld, said %lld", parts[i] * 100, n, (long long)exact, (long long)said);
		}
	}
}

static void
nothing_has_no_percentile(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	assert_int_equal(histogram_percentile(&h, 0.5), -1);
}

/* ---- days ---- */

static void
days_are_read_as_they_are_written(void **state)
{
	static const char *const wrong[] = { "", "2026-1-31", "2026-02-30", "2025-02-29", "2026-13-01", "2026-00-10", "2026-01-00",
		"1969-12-31", "2026/01/31", "2026-01-31 ", " 2026-01-3", "20260131", "2026-01-3x", "+026-01-31", "2026--1-31", "0000-01-01",
		"2026-01-31T00:00:00Z", "99999-01-01" };
	char text[CLOCK_DAY_LEN + 1];
	int64_t day;

	(void)state;
	for (int64_t d = 0; d < 400000; d += 13) {
		clock_day(d, text);
		assert_true(clock_day_parse(text, &day));
		assert_int_equal(day, d);
	}
	assert_true(clock_day_parse("2024-02-29", &day));
	assert_true(clock_day_parse("1970-01-01", &day));
	assert_int_equal(day, 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (clock_day_parse(wrong[i], &day))
			fail_msg("\"%s\" is a day", wrong[i]);
}

/* ---- tables ---- */

static void
cells_are_never_computed(void **state)
{
	static const struct { const char *text, *cell; } cells[] = {
		{ "Acme", "\"Acme\"" },
		{ "", "\"\"" },
		{ NULL, "\"\"" },
		{ "a,b", "\"a,b\"" },
		{ "say \"hi\"", "\"say \"\"hi\"\"\"" },
		{ "\"", "\"\"\"\"" },
		{ "two\r\nlines", "\"two\r\nlines\"" },
		{ "=1+1", "\"'=1+1\"" },
		{ "+1", "\"'+1\"" },
		{ "-1", "\"'-1\"" },
		{ "@SUM(A1)", "\"'@SUM(A1)\"" },
		{ "\t=1", "\"'\t=1\"" },
		{ "\r=1", "\"'\r=1\"" },
		{ "\n=1", "\"'\n=1\"" },
		{ "=\"a\",b", "\"'=\"\"a\"\",b\"" },
		{ "\xef\xbc\x9d" "1", "\"'\xef\xbc\x9d" "1\"" },
		{ " =1", "\"' =1\"" },
		{ "\xc2\xa0 -1", "\"'\xc2\xa0 -1\"" },
		{ " a=1", "\" a=1\"" },
		{ "'=1", "\"'=1\"" },
		{ "a=1", "\"a=1\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		struct buf row = BUF_INIT(1000);

		csv_text(&row, cells[i].text);
		assert_string_equal(row.data, cells[i].cell);
		buf_free(&row);
	}
}

static void
rows_are_as_rfc_4180_says(void **state)
{
	struct buf row = BUF_INIT(1000);

	(void)state;
	csv_text(&row, "a");
	csv_int(&row, 5);
	csv_real(&row, NAN, 2);
	csv_real(&row, 0.125, 6);
	csv_real(&row, 0, 6);
	csv_real(&row, 100, 0);
	csv_text(&row, "z\n");
	csv_end(&row);
	csv_text(&row, "");
	csv_int(&row, -1);
	csv_end(&row);
	assert_string_equal(row.data, "\"a\",5,,0.125,0,100,\"z\n\"\r\n\"\",-1\r\n");
	buf_free(&row);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_hold_their_values_within_the_error),
		cmocka_unit_test(percentiles_are_within_the_error_of_the_sorted_values),
		cmocka_unit_test(nothing_has_no_percentile),
		cmocka_unit_test(days_are_read_as_they_are_written),
		cmocka_unit_test(cells_are_never_computed),
		cmocka_unit_test(rows_are_as_rfc_4180_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
