// SPDX-License-Identifier: BSD-3-Clause
/* Every error has a sentence of its own kind. */
#include "explain.h"

#include "check.h"

#include <estate/error.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static void test_completions(void **state)
{
	(void)state;
	for (int status = -1; status < 40; status++)
		assert_true(strlen(explain_completion((enum ibv_wc_status)status)) > 10);
	assert_non_null(strstr(explain_completion(IBV_WC_RETRY_EXC_ERR), "4791"));
	assert_non_null(strstr(explain_completion(IBV_WC_RNR_RETRY_EXC_ERR), "not ready"));
	assert_non_null(strstr(explain_completion(IBV_WC_REM_ACCESS_ERR), "restarted"));
	assert_non_null(strstr(explain_completion(IBV_WC_WR_FLUSH_ERR), "ended"));
	assert_non_null(strstr(explain_completion(IBV_WC_LOC_PROT_ERR), "bug"));
}

static void test_events(void **state)
{
	(void)state;
	for (int event = -1; event < 30; event++)
		assert_true(strlen(explain_event((enum rdma_cm_event_type)event, 0)) > 10);
	assert_non_null(strstr(explain_event(RDMA_CM_EVENT_ADDR_ERROR, -ENODEV), "no RDMA device"));
	assert_non_null(strstr(explain_event(RDMA_CM_EVENT_ADDR_ERROR, -ETIMEDOUT), "ARP"));
	assert_non_null(strstr(explain_event(RDMA_CM_EVENT_ROUTE_ERROR, 0), "subnet manager"));
	assert_non_null(strstr(explain_event(RDMA_CM_EVENT_UNREACHABLE, 0), "firewall"));
	assert_non_null(strstr(explain_event(RDMA_CM_EVENT_DEVICE_REMOVAL, 0), "removed"));
}

static void test_registration(void **state)
{
	struct rlimit before;
	struct rlimit limit;

	(void)state;
	getrlimit(RLIMIT_MEMLOCK, &before);
	limit = before;
	limit.rlim_cur = 64 << 10;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_error(explain_registration(-ENOMEM, 1 << 20, "mlx5_0"), -ENOMEM, "ulimit -l");
	assert_non_null(strstr(estate_errormsg(), "65536"));
	assert_non_null(strstr(estate_errormsg(), "mlx5_0"));
	assert_error(explain_registration(-EAGAIN, 1 << 20, "mlx5_0"), -ENOMEM, "LimitMEMLOCK");
	/* What is small enough fails for another reason. */
	assert_error(explain_registration(-ENOMEM, 4096, "mlx5_0"), -ENOMEM, "4096 bytes");
	assert_null(strstr(estate_errormsg(), "ulimit"));
	assert_error(explain_registration(-EINVAL, 1 << 20, "mlx5_0"), -EINVAL, "ibv_reg_mr");
	assert_null(strstr(estate_errormsg(), "ulimit"));
	/* No errno is not a success. */
	assert_error(explain_registration(0, 4096, "mlx5_0"), -EIO, "ibv_reg_mr");
	setrlimit(RLIMIT_MEMLOCK, &before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_completions),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_registration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
