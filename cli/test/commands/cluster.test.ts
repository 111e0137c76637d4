import { expect } from 'chai'
import { cluster, describeLevel } from '../../src/commands/cluster.js'
import { type Config, ConfigError } from '../../src/config.js'

describe('cairn cluster feature-level', () => {
  it('shows the level, what it is about to be, and who supports which', () => {
    const members = [
      { kind: 'chunk', name: 'c1', level: 1 },
      { kind: 'metadata', name: 'a', level: 2 },
    ] as const
    expect(describeLevel({ level: 1, target: 2, members }).split('\n')).to.deep.equal([
      'feature level 1, about to be raised to 2',
      '  chunk server     c1 supports 1',
      '  metadata service a supports 2',
    ])
    expect(describeLevel({ level: 1, members: [] })).to.equal('feature level 1')
  })

  it('is the only command about the cluster', async () => {
    const options = { json: false, raise: false }
    for (const words of [[], ['level'], ['feature-level', '2']]) {
      const error = await cluster({} as Config, words, options).catch((cause: unknown) => cause)
      expect(error, words.join()).to.be.instanceOf(ConfigError)
    }
  })
})
