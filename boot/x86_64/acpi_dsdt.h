/* The definition block of the DSDT: internal to boot/. */
#pragma once

#include "boot/x86_64/acpi.h"
#include "boot/x86_64/aml.h"

/* Appends the AML that follows the DSDT's header. */
void acpi_dsdt_write(struct aml *aml, const struct acpi_config *config);
