/* SPDX-License-Identifier: BSD-3-Clause */
/* All of estate's public API. */
#ifndef ESTATE_ESTATE_H
#define ESTATE_ESTATE_H

#include <estate/error.h>
#include <estate/instance.h>
#include <estate/pool.h>
#include <estate/table.h>
#include <estate/view.h>

#endif
