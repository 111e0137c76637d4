/**
 * Gives space in etcd back by hand: history is dropped, which frees pages inside the file of every member, and each
 * file is written anew without them. A member does not answer while it does that, so they go one after another, the
 * leader last, and none while another is missing.
 */
import { CairnError } from '@cairn/protocol'
import type { EtcdConnection, EtcdMemberCalls } from './etcd-connection.js'
import { hasReason } from './etcd-errors.js'
import { DEFRAGMENT_MS, SPACE_TIMEOUT_MS } from './etcd-limits.js'

/** Size of a member's file before and after. */
export interface Defragmented {
  readonly member: string
  readonly beforeBytes: number
  readonly afterBytes: number
}

interface MemberState {
  readonly calls: EtcdMemberCalls
  readonly isLeader: boolean
  readonly fileBytes: number
}

/**
 * Drops all history before `revision`, defragments every member, and ends the alarm for want of space. `Busy` if a
 * member does not answer: then nothing more is done. Whoever follows from before `revision` must begin anew.
 */
export async function defragmentEtcd(
  connection: EtcdConnection,
  revision: number,
  onMember: (done: Defragmented) => void,
): Promise<void> {
  const members = connection.members()
  const states = await Promise.all(members.map(stateOf))
  await compactWholly(members, revision)
  for (const { calls, fileBytes } of [...states].sort((a, b) => Number(a.isLeader) - Number(b.isLeader))) {
    await Promise.all(members.map(stateOf))
    await calls.ask('defragment', {}, DEFRAGMENT_MS)
    const after = await stateOf(calls)
    onMember({ member: calls.address, beforeBytes: fileBytes, afterBytes: after.fileBytes })
  }
  await endAlarms(connection)
}

async function stateOf(calls: EtcdMemberCalls): Promise<MemberState> {
  try {
    const { header, leader, dbSize } = await calls.ask('status', {}, SPACE_TIMEOUT_MS)
    return {
      calls,
      isLeader: leader !== undefined && leader === header?.member_id,
      fileBytes: Number(dbSize),
    }
  } catch (cause) {
    throw new CairnError('Busy', `etcd's member ${calls.address} does not answer`, { cause })
  }
}

/** Waits until the pages are free, on the member that was asked; the others do the same at the same time. */
async function compactWholly([first]: readonly EtcdMemberCalls[], revision: number): Promise<void> {
  try {
    await first?.ask('compact', { revision, physical: true }, DEFRAGMENT_MS)
  } catch (error) {
    if (!hasReason(error, 'compacted')) throw error
  }
}

const ALARM = { get: 0, deactivate: 2, noSpace: 1 } as const

async function endAlarms(connection: EtcdConnection): Promise<void> {
  const { alarms = [] } = await connection.ask('alarm', { action: ALARM.get })
  for (const { memberID, alarm } of alarms) {
    if (alarm === ALARM.noSpace) await connection.ask('alarm', { action: ALARM.deactivate, memberID, alarm })
  }
}
