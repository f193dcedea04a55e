/*
 * share_test - nobody fills what is there for all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/share.h"

static struct shares shares;

static void
one_who_floods_leaves_half_to_the_others(void **state)
{
	unsigned flood, other, n = 0;

	(void)state;
	shares_init(&shares, 160);
	flood = share_of(&shares, "192.0.2.1", "flood");
	while (share_take(&shares, flood))
		n++;
	assert_int_equal(n, 80);
	for (unsigned i = 0; i < 8; i++) {
		other = (flood + 1 + i) % SHARE_BUCKETS;
		for (unsigned k = 0; k < 10; k++)
			assert_true(share_take(&shares, other));
		assert_int_equal(share_take(&shares, other), false);
	}
	assert_false(share_take(&shares, (flood + 100) % SHARE_BUCKETS));	/* full */
	for (unsigned i = 0; i < 75; i++)
		share_give(&shares, flood);
	assert_true(share_take(&shares, flood));
}

static void
a_small_program_grants_four(void **state)
{
	(void)state;
	shares_init(&shares, 8);
	for (unsigned i = 0; i < 4; i++)
		assert_true(share_take(&shares, 7));
	assert_false(share_take(&shares, 7));
	assert_true(share_take(&shares, 8));
}

static void
address_and_user_both_count(void **state)
{
	(void)state;
	shares_init(&shares, 8);
	assert_int_not_equal(share_of(&shares, "192.0.2.1", "a"), share_of(&shares, "192.0.2.1", "b"));
	assert_int_equal(share_of(&shares, "192.0.2.1", "a"), share_of(&shares, "192.0.2.1", "a"));
	(void)share_of(&shares, NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_who_floods_leaves_half_to_the_others),
		cmocka_unit_test(a_small_program_grants_four),
		cmocka_unit_test(address_and_user_both_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
