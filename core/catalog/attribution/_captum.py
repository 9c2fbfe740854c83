"""Captum's classes of attribution (captum.attr, 0.9): which methods stand for them here, and why others do not.

A test compares this with captum.attr's public names and with the catalog.
"""

from core.spec.sentences import Sentence, _, join

OFFERED = {
    "Saliency": ("saliency",),
    "InputXGradient": ("input_x_gradient",),
    "IntegratedGradients": ("integrated_gradients",),
    "GradientShap": ("gradient_shap",),
    "NoiseTunnel": ("smooth_grad", "var_grad"),
    "DeepLift": ("deep_lift",),
    "DeepLiftShap": ("deep_lift_shap",),
    "GuidedBackprop": ("guided_backprop",),
    "Deconvolution": ("deconvolution",),
    "GuidedGradCam": ("guided_grad_cam",),
    "LRP": ("lrp",),
    "FeatureAblation": ("feature_ablation",),
    "FeaturePermutation": ("feature_permutation",),
    "Occlusion": ("occlusion",),
    "ShapleyValueSampling": ("shapley_sampling",),
    "ShapleyValues": ("shapley_values",),
    "Lime": ("lime",),
    "KernelShap": ("kernel_shap",),
    "LayerActivation": ("layer_activation",),
    "LayerGradientXActivation": ("layer_gradient_x_activation",),
    "LayerGradCam": ("grad_cam",),
    "LayerConductance": ("layer_conductance",),
    "LayerIntegratedGradients": ("layer_integrated_gradients",),
    "InternalInfluence": ("internal_influence",),
    "NeuronGradient": ("neuron_gradient",),
    "NeuronConductance": ("neuron_conductance",),
    "NeuronIntegratedGradients": ("neuron_integrated_gradients",),
}

_RULES, _SWITCHED = (
    Sentence(
        "The method is offered by the input; by a layer there are {others}, which answer the same question.", others=one
    )
    for one in (
        _("conductance and Layer Integrated Gradients"),
        _("conductance, and the interventions on a layer of the views"),
    )
)
_OF_UNIT = _(
    "The method is offered for the answer; for one unit there are its gradient, Integrated Gradients and conductance."
)
_LANGUAGE = _("It is for large language models that write an answer to a prompt; a run here has a few classes.")

NOT_OFFERED = {
    "LayerDeepLift": _RULES,
    "LayerDeepLiftShap": _RULES,
    "LayerGradientShap": _RULES,
    "LayerLRP": _RULES,
    "LayerFeatureAblation": _SWITCHED,
    "LayerFeaturePermutation": join([_SWITCHED, _("With a target Captum's class fails (it takes the target twice).")]),
    "NeuronDeepLift": _OF_UNIT,
    "NeuronDeepLiftShap": _OF_UNIT,
    "NeuronGradientShap": _OF_UNIT,
    "NeuronGuidedBackprop": _OF_UNIT,
    "NeuronDeconvolution": _OF_UNIT,
    "NeuronFeatureAblation": _OF_UNIT,
    "LimeBase": _("Lime with parts of one's own, which are lines of Python: from a notebook it is Captum's."),
    "DataLoaderAttribution": _("It is of a whole data set; a map here is of one sample."),
    "LLMAttribution": _LANGUAGE,
    "LLMGradientAttribution": _LANGUAGE,
    "RemoteLLMAttribution": _LANGUAGE,
}

# What is no method: classes that others are built on, inputs and providers for language models, statistics, pictures.
NO_METHOD = frozenset(
    {
        "Attribution",
        "GradientAttribution",
        "PerturbationAttribution",
        "LayerAttribution",
        "NeuronAttribution",
        "LLMAttributionResult",
        "RemoteLLMProvider",
        "VLLMProvider",
        "InterpretableInput",
        "ImageMaskInput",
        "TextTemplateInput",
        "TextTokenInput",
        "ProductBaselines",
        "TokenReferenceBase",
        "InterpretableEmbeddingBase",
        "configure_interpretable_embedding_layer",
        "remove_interpretable_embedding_layer",
        "visualization",
        "Summarizer",
        "CommonStats",
        "ClassSummarizer",
        "SummarizerSingleTensor",
        "StatValue",
        "Mean",
        "StdDev",
        "MSE",
        "Var",
        "Min",
        "Max",
        "Sum",
        "Count",
    }
)
