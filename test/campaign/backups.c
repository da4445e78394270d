#include "campaign.h"
void
campaign_backups(void)
{
}
