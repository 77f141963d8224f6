"""`collection_adopted` of an archived collection → its open jobs are stopped; they end as expired.

So is a job that was requested or resumed at the same time: each of the two events finds what the other has recorded.
"""

from shared.contracts.generation import CollectionAdopted, JobRequested, JobResumed

NAME = "stop-archived-v1"
EVENTS = (CollectionAdopted, JobRequested, JobResumed)
REASON = "The collection was archived"
