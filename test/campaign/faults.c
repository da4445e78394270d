#include "campaign.h"
void
campaign_faults(void)
{
}
