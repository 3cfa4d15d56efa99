"""Synonyms: the names that papers and other programs have for words, arguments and settings."""

import re
from collections.abc import Mapping

_WORDS: Mapping[str, Mapping[str, str]] = {
    "loss": {
        "kl(T=4)": "kd kdloss distill distillation knowledgedistillation hinton softtarget "
        "softtargets softlabels",
        "kl": "kld kldiv kldivloss kldivergence kullbackleibler forwardkl mutual "
        "mutuallearning deepmutuallearning dml",
        "reverse_kl": "rkl reversekld backwardkl",
        "js": "jsd jensenshannon",
        "ce": "nll nllloss crossentropy crossentropyloss xent softmax softmaxcrossentropy "
        "sparsecategoricalcrossentropy categoricalcrossentropy bce supervised",
        "ce(smoothing=0.1)": "labelsmoothing lsr smoothedce",
        "mse": "l2 l2loss mseloss euclidean logits logitmse meansquarederror",
        "cosine_distance": "cosine cosinesimilarity cosineembedding cosineembeddingloss",
        "hint": "fitnet fitnets hintloss",
        "attention": "at attentiontransfer",
        "similarity": "sp similaritypreserving spkd",
        "overhaul": "ofd",
        "fsp": "gramian flow",
        "standardized_kl": "logitstandardization lskd standardization",
        "rkd": "relational relationalkd",
        "dkd": "decoupled decoupledkd",
        'python("my_losses:loss")': "crd vid pkt nst ab ft cc srrl reviewkd simkd",
    },
    "gate": {
        "through": "open on always all one identity yes true throughgate",
        "cutoff": "closed close off never none zero no false null cut cutoffgate",
        "linear": "lineargate ramp progress",
        "correct": "correctgate right",
        "confident": "confidence certain threshold",
        "rampup(80)": "sigmoidrampup warmup",
    },
    "optimizer": {
        "sgd(momentum=0.9)": "momentum",
        "sgd(momentum=0.9, nesterov=true)": "nesterov nag",
    },
    "schedule": {
        "cosine": "cosineannealing cosinedecay cosinelr",
        "cosine(by=epoch)": "cosineannealinglr",
        "step(every=30, gamma=0.1)": "steplr stepdecay",
        "multistep(at=[60, 120, 160])": "multisteplr milestones piecewise",
        "exponential(0.95)": "exponentiallr exponentialdecay exp",
        "plateau": "reducelronplateau reduceonplateau",
        "constant": "constantlr none fixed",
        "constant(warmup=5)": "warmup linearwarmup",
    },
    "stop": {"patience(10)": "earlystopping earlystop early", "never": "none no off false null"},
    "network": {
        "wrn": "wideresnet",
        "resnet": "cifarresnet",
        "ema": "meanteacher movingaverage exponentialmovingaverage averagedmodel",
    },
    "sampler": {
        "tpe": "bayes bayesian optuna",
        "nsga2": "nsga nsgaii genetic evolution",
        "all": "grid gridsearch exhaustive bruteforce",
    },
    "pruner": {"asha": "sha hyperband successivehalving"},
    "objective": {
        "accuracy": "acc top1 valaccuracy validationaccuracy testaccuracy",
        "parameters": "params size nparams weights",
        "flops": "macs gflops compute",
    },
    "dataset": {
        'folder("images")': "imagenet imagefolder images",
        "fashion_mnist": "fmnist",
    },
}
_ARGUMENTS: Mapping[str, str] = {
    "T": "temperature temp tau",
    "lr": "learningrate rate eta",
    "weight_decay": "wd l2 decay",
    "every": "stepsize period",
    "at": "milestones",
    "minimum": "etamin minlr lrmin",
    "gamma": "lrdecay decayrate",
    "smoothing": "labelsmoothing",
    "decay": "alpha momentum",
    "batch": "bs batchsize",
    "widen": "width k widenfactor wideningfactor",
    "depth": "layers",
    "width": "channels planes widen",
    "validation": "val valsplit validationsplit heldout",
    "root": "path dir datadir directory",
    "classes": "nclasses numclasses",
    "labeled": "nlabels numlabels nlabeled numlabeled",
    "labeled_batch": "labeledbs labeledbatchsize",
    "views": "twocrop transformtwice",
    "augment": "transform transforms augmentation",
    "evaluation_batch": "testbatch testbatchsize evalbatch evalbatchsize valbatchsize",
    "weights": "pretrained checkpoint ckpt path load init statedict",
    "frozen": "freeze requiresgrad trainable",
    "epochs": "nepochs numepochs maxepochs",
    "precision": "amp fp16 mixedprecision autocast",
    "clip": "gradclip clipnorm clipgradnorm maxnorm",
    "repeats": "runs seeds nseeds",
    "workers": "numworkers nworkers",
    "device": "gpu cuda",
    "trials": "ntrials maxtrials",
}


def word_of_synonym(kind: str, name: str) -> str | None:
    """The word of that kind of which `name` is a synonym, or None."""
    return _meant(_WORDS.get(kind, {}), name)


def arguments_of_synonym(name: str) -> list[str]:
    """The arguments and settings of which `name` is a synonym."""
    wanted = _plain(name)
    return [own for own, names in _ARGUMENTS.items() if wanted in names.split()]


def _meant(table: Mapping[str, str], name: str) -> str | None:
    wanted = _plain(name)
    return next((own for own, names in table.items() if wanted in names.split()), None)


def _plain(name: str) -> str:
    """A name in lower case and without punctuation, in which spellings differ."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
