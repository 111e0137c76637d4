import { expect } from 'chai'
import { drive, isAtRest, rebalance } from '../../src/commands/drive.js'
import { describeGroups, describeMoves } from '../../src/commands/status.js'
import { exitStatusOf } from '../../src/exit-status.js'
import { withAdminServer } from './admin-server.js'

const REST = {
  rebalancing: false,
  positionsMoving: 0,
  positionsLeft: 0,
  positionsMoved: 0,
  movingMs: 0,
  straysDeleted: 0,
}

describe('what moves', () => {
  it('is shown with its rate and the time it still takes', () => {
    const moves = { ...REST, positionsMoving: 256, positionsLeft: 100, positionsMoved: 50, movingMs: 10_000 }
    expect(describeMoves(moves)).to.deep.equal([
      'moving: 50 groups moved, 100 to move, 256 now; 5.00 a second, 20 s to go',
    ])
    expect(describeMoves({ ...moves, positionsMoved: 0 })[0]).to.not.include('to go')
  })

  it('is nothing at rest, and a reason where it is stuck', () => {
    expect(describeMoves(REST)).to.deep.equal([])
    expect(describeMoves({ ...REST, stuck: 'too few' })).to.deep.equal(['nothing moves: too few'])
    expect(isAtRest(REST)).to.equal(true)
    expect(isAtRest({ ...REST, stuck: 'too few' })).to.equal(false)
    expect(isAtRest({ ...REST, rebalancing: true })).to.equal(false)
  })

  it('is counted for each drive', () => {
    const drive = { id: 'd', server: 's', state: 'up', path: '/' }
    expect(describeGroups({ ...drive, positions: 4 })).to.equal('; 4 groups')
    expect(describeGroups({ ...drive, positions: 4, joining: 2, leaving: 1 })).to.equal(
      '; 4 groups, 2 joining, 1 leaving',
    )
  })
})

describe('--wait', () => {
  const OPTIONS = { json: false, force: false, wait: true, waitSeconds: 86_400 }
  const MOVING = { ...REST, rebalancing: true, positionsLeft: 5 }

  it('ends when the metadata store takes no more writes: nothing moves any more', async () => {
    const answer = { moves: MOVING, storeTrouble: 'a commit has failed' }
    const errors = await withAdminServer(answer, (config) => {
      const waits = [drive(config, ['drain', 'd1'], OPTIONS), rebalance(config, [], OPTIONS)]
      return Promise.all(waits.map((wait) => wait.catch((error) => error)))
    })
    for (const error of errors) {
      expect(error).to.be.instanceOf(Error)
      expect(error.message).to.include('the metadata takes no writes: a commit has failed')
      expect(exitStatusOf(error)).to.equal(2)
    }
  })

  it('ends when nothing moves though it should, and says that it is not done', async () => {
    const answer = { moves: { ...MOVING, stuck: 'too few drives' } }
    const found = await withAdminServer(answer, (config) => rebalance(config, [], OPTIONS))
    expect(found).to.deep.equal({ text: 'not done: 0 groups moved', done: false })
  })
})
