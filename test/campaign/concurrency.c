#include "campaign.h"
void
campaign_concurrency(void)
{
}
