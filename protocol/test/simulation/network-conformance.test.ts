import {
  createSeededRandom,
  createSimulatedClock,
  createSimulatedNetwork,
} from '../../src/simulation/index.js'
import { describeNetwork, type NetworkWorld } from '../rpc/network-conformance.js'

const seed = Number(process.env.CAIRN_TEST_SEED ?? 1)

describeNetwork(`createSimulatedNetwork, seed ${seed}`, () => {
  const random = createSeededRandom(seed)
  const clock = createSimulatedClock(random)
  const reported: NetworkWorld['reported'] = []
  const network = createSimulatedNetwork({
    clock,
    random,
    onError: (error, where) => where === 'talk' && reported.push({ error, where }),
  })
  return { network, address: 'server:1', reported, until: (promise) => clock.runUntil(promise) }
})
