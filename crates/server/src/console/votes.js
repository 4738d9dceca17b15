// What people said of a parked operation.

/**
 * The votes of a record with `isYes` for each: a rejection by a person is the last vote, and the only no that is kept.
 */
export function words(record) {
  const isRejected = record.status === 'REJECTED' && record.code === 'approval_rejected';
  return record.votes.map((vote, index) => ({ ...vote, isYes: !(isRejected && index === record.votes.length - 1) }));
}

/** Those who said yes. */
export function yeses(record) {
  return words(record).filter((vote) => vote.isYes);
}

/** Whether a vote counts for a clause of a gate. */
export function admits(quorum, vote) {
  return quorum.of.some((name) => name === '*' || name === vote.operator || vote.groups.includes(name));
}

/** The persons who count for a clause; the owner of the agent never does. */
export function persons(quorum, votes, owner) {
  return [...new Set(votes.filter((vote) => admits(quorum, vote) && vote.person !== owner).map((vote) => vote.person))];
}
