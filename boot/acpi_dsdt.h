/* The definition block of the DSDT: internal to boot/. */
#pragma once

#include "boot/acpi.h"
#include "boot/aml.h"

/* Appends the AML that follows the DSDT's header. */
void acpi_dsdt_write(struct aml *aml, const struct acpi_config *config);
