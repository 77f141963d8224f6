"""HTTP → command or query → response. Amounts are JSON numbers, exact to 6 decimals in both directions."""

from services.credits.routes.account import list_entries, read_balance
from services.credits.routes.grants import give_grant
from services.credits.routes.limits import set_limits, set_limits_of_user
from services.credits.routes.reversals import refund_job, reverse_grant

ROUTES = [read_balance, list_entries, give_grant, reverse_grant, refund_job, set_limits, set_limits_of_user]
